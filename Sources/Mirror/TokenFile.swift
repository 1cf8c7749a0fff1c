// The file that lists who may read and who may write.

import GraftCache
import GraftServer
public import GraftTensors

/// A file of tokens that is not one.
public enum TokenFileError: Diagnostic, Equatable {
    /// The file is missing, too large or cannot be read.
    case unreadable(String)
    /// A line does not say a token, a name and maybe `read` or `write`.
    case line(Int, of: String, found: Int)
    /// A token is shorter than ``shortest`` characters.
    case short(name: String, of: String)
    /// There is no token in the file.
    case empty(String)

    /// The characters that a token must have.
    public static let shortest = 16

    /// The file, and the line that is not sound; never a token.
    public var message: String {
        switch self {
        case .unreadable(let path): "cannot read the tokens of `\(path)`"
        case .line(let number, let path, let found):
            "`\(path)`, line \(number): expected a token, a name and `read` or `write`, "
                + "found \(found) words"
        case .short(let name, let path):
            "`\(path)`: the token of `\(name)` has fewer than \(Self.shortest) characters"
        case .empty(let path): "`\(path)` holds no token"
        }
    }

    /// A line that is sound.
    public var hint: String? {
        switch self {
        case .unreadable: "a line of it is `TOKEN NAME [read|write]`"
        case .line: "for example: `hf_0123456789abcdef ann write`"
        case .short, .empty: "`openssl rand -hex 20` makes a token"
        }
    }
}

extension AccessTokens {
    /// The tokens of a file: lines of a token, a name and `read` or `write`, which is `read` where it is left
    /// out. Empty lines and those that begin with `#` are skipped.
    init(file: String?) throws {
        guard let file else {
            self = .none
            return
        }
        guard let bytes = Files.read(file, limit: 1 << 20),
            let text = String(validating: bytes, as: UTF8.self)
        else { throw TokenFileError.unreadable(file) }
        // A wrong token is refused; whether one is needed, the address decides.
        self.init(admitsAnonymous: true)
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, line) in lines.enumerated() {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard let token = words.first, token.first != "#" else { continue }
            let role = words.count == 3 ? words[2] : "read"
            guard (2...3).contains(words.count), role == "read" || role == "write" else {
                throw TokenFileError.line(index + 1, of: file, found: words.count)
            }
            guard token.utf8.count >= TokenFileError.shortest else {
                throw TokenFileError.short(name: String(words[1]), of: file)
            }
            add(
                String(token),
                for: TokenHolder(name: String(words[1]), mayWrite: role == "write"))
        }
        guard !isEmpty else { throw TokenFileError.empty(file) }
    }
}

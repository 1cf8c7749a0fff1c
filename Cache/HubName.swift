// The name of a repository of the Hub: what it is called there, and what its folder is called here.

/// A model, data set, space or kernel of the Hugging Face Hub.
public struct HubName: Sendable, Hashable, CustomStringConvertible {
    /// What the Hub keeps.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Weights.
        case model
        /// Data.
        case dataset
        /// Programs.
        case space
        /// Compiled kernels.
        case kernel
    }

    /// A model, a data set, …
    public let kind: Kind
    /// `organisation/name`, or `name` alone.
    public let id: String

    /// A name by the Hub's rules; nil where it breaks them.
    ///
    /// One or two parts of at most 96 letters, digits, `_`, `.` and `-`, which begin and end with
    /// neither `-` nor `.`, hold neither `--` nor `..`, and do not end in `.git`.
    public init?(_ kind: Kind = .model, _ id: String) {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy(HubName.isPart),
            !id.contains("--"), !id.contains(".."), !id.hasSuffix(".git")
        else { return nil }
        self.kind = kind
        self.id = id
    }

    private static func isPart(_ part: Substring) -> Bool {
        let edges = [part.utf8.first, part.utf8.last]
        return (1...96).contains(part.utf8.count)
            && part.utf8.allSatisfy { isWord($0) || $0 == 45 || $0 == 46 }
            && edges.allSatisfy { $0 != 45 && $0 != 46 }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...122).contains(byte | 0x20) || byte == 95
    }

    /// The name that the name of a folder means: `models--org--name`; nil for another folder.
    public init?(folderName: String) {
        for kind in Kind.allCases {
            let prefix = kind.rawValue + "s--"
            guard folderName.hasPrefix(prefix), folderName.utf8.count > prefix.utf8.count else {
                continue
            }
            self.kind = kind
            id = Self.id(folderName.utf8.dropFirst(prefix.utf8.count))
            return
        }
        return nil
    }

    /// What a folder is called by, each `--` a `/`.
    private static func id(_ bytes: Substring.UTF8View) -> String {
        var id: [UInt8] = []
        id.reserveCapacity(bytes.count)
        var dashes = 0
        for byte in bytes {
            dashes = byte == 45 ? dashes + 1 : 0
            if dashes == 2 {
                id[id.count - 1] = UInt8(ascii: "/")
                dashes = 0
            } else {
                id.append(byte)
            }
        }
        return String(decoding: id, as: UTF8.self)
    }

    /// `models--org--name`.
    public var folderName: String {
        "\(kind.rawValue)s--" + id.split(separator: "/").joined(separator: "--")
    }

    /// What stands before the id in the Hub's API: `models/org/name`.
    public var apiPath: String { "\(kind.rawValue)s/\(id)" }

    /// What stands before `/resolve/` in addresses: `org/name`, `datasets/org/name`.
    public var webPath: String { kind == .model ? id : apiPath }

    /// How `graft fetch` takes it: `hf://org/name`, `hf://datasets/org/name`.
    public var description: String { "hf://" + webPath }
}

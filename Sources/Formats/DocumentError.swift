// What can be wrong with a text document: YAML, XML, JSON or a table.

public import GraftTensors

/// A document that breaks the rules of its format, and the line where it does.
public struct DocumentError: Diagnostic, Equatable {
    /// The file.
    public let path: String
    /// The format, as people call it.
    public let format: String
    /// The line, from 1, if it is known.
    public let line: Int?
    /// The rule that is broken.
    public let flaw: DocumentFlaw

    package init(path: String, format: String, line: Int? = nil, flaw: DocumentFlaw) {
        self.path = path
        self.format = format
        self.line = line
        self.flaw = flaw
    }

    /// What happened.
    public var message: String {
        let place = line.map { "`\(path)`, line \($0)" } ?? "`\(path)`"
        return "\(place): not valid \(format): \(flaw.explanation)"
    }

    /// What to do about it.
    public var hint: String? { flaw.remedy }
}

/// A rule that a document breaks.
public enum DocumentFlaw: Error, Equatable, Codable {
    /// Other characters than the format has there.
    case expected(String, found: String)
    /// The parser of the format refused it, in its own words.
    case refused(String)
    /// Nested deeper than any data set is.
    case tooDeep(limit: Int)
    /// More bytes than a file of this kind can need.
    case tooLarge(byteCount: Int, limit: Int)
    /// More values than fit into memory.
    case tooManyValues(limit: Int)
    /// More references than a file of this kind can need: they can multiply without bound.
    case tooManyAliases(count: Int, limit: Int)
    /// A declaration of an entity, which could refer to other files.
    case entity
    /// A field in quotes that does not end.
    case openQuote
    /// Bytes that are neither UTF-8 nor UTF-16.
    case notText
    /// Two members of one name in a file of weights.
    case repeatedName(String)

    var explanation: String {
        switch self {
        case .expected(let expected, let found): "expected \(expected), found \(found)"
        case .refused(let reason): reason
        case .tooDeep(let limit): "it nests deeper than \(limit) levels"
        case .tooLarge(let count, let limit): "expected at most \(limit) bytes, found \(count)"
        case .tooManyValues(let limit): "it has more than \(limit) values"
        case .tooManyAliases(let count, let limit):
            "expected at most \(limit) aliases, found \(count)"
        case .entity: "it declares an entity, which is not allowed"
        case .openQuote: "a quote `\"` is opened here and never closed"
        case .notText: "it is neither UTF-8 nor UTF-16 text"
        case .repeatedName(let name): "the name `\(name)` occurs twice"
        }
    }

    fileprivate var remedy: String? {
        switch self {
        case .openQuote: "double the quotes inside of a quoted field, or remove them"
        case .tooManyAliases: "write the values out instead of `*alias`"
        case .entity: "remove the `<!ENTITY …>` declaration"
        default: nil
        }
    }
}

/// The depth and the number of values that a document may have, whatever its format.
struct DocumentBudget {
    /// No file of weights or annotations nests as deep.
    static let depthLimit = 64

    private let limit: Int
    private var count = 0

    /// A document of at most this many values.
    init(values limit: Int) { self.limit = limit }

    /// Counts a value at a depth; what is wrong if it is too deep or one too many.
    mutating func flaw(at depth: Int, limit depthLimit: Int = depthLimit) -> DocumentFlaw? {
        guard depth < depthLimit else { return .tooDeep(limit: Self.depthLimit) }
        count += 1
        return count > limit ? .tooManyValues(limit: limit) : nil
    }
}

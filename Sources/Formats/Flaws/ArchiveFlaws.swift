// What can be wrong with NumPy files and archives.

public import GraftTensors

/// One way in which the bytes of a .npy file contradict the format.
public enum NpyFlaw: Equatable, Sendable, Codable {
    /// Other first bytes.
    case noMagic
    /// More or fewer bytes than type and shape ask for.
    case wrongSize(descr: String, shape: Shape, found: Int)
    /// A key that the format does not have.
    case unknownKey(String)
    /// No comma between two keys.
    case noComma
    /// No `descr`, `fortran_order` or `shape`.
    case missingKey
    /// Another character than the grammar has there.
    case expected(String, at: Int)
    /// A string that does not end.
    case openString
    /// Neither `True` nor `False`.
    case notBool(at: Int)
    /// No size in the shape.
    case notSize(at: Int)
    /// No comma between two sizes.
    case noCommaInShape

    var explanation: String {
        switch self {
        case .noMagic: "expected it to start with `\\x93NUMPY`"
        case .wrongSize(let descr, let shape, let found):
            "type `\(descr)` and shape \(shape) do not fit its \(found) bytes of data"
        case .unknownKey(let key): "its header has the unknown key `\(key)`"
        case .noComma: "its header lacks a comma"
        case .missingKey: "its header lacks `descr`, `fortran_order` or `shape`"
        case .expected(let character, let place):
            "expected `\(character)` at character \(place) of its header"
        case .openString: "a string in its header has no end"
        case .notBool(let place): "expected `True` or `False` at character \(place) of its header"
        case .notSize(let place): "expected a size at character \(place) of its header"
        case .noCommaInShape: "its shape lacks a comma"
        }
    }
}

/// One way in which a zip archive contradicts the format.
public enum ZipFlaw: Equatable, Sendable, Codable {
    /// Members whose bytes together are more than the file has.
    case overlap
    /// Two members of one name.
    case duplicate(member: String)
    /// No directory at its end.
    case noEndRecord
    /// No zip64 directory where one is announced.
    case noZip64EndRecord
    /// More members than there is room for.
    case memberCount(Int)
    /// No directory entry where one is expected.
    case noEntry(at: Int)
    /// No local header of a member.
    case noLocalHeader(member: String)
    /// A stored member whose two sizes differ.
    case storedSize(member: String)
    /// A member that is larger than its compressed bytes can become.
    case inflation(member: String, from: Int, to: Int)
    /// libarchive has no memory.
    case outOfMemory
    /// A member behind the end of the file.
    case outside(member: String?)
    /// Compressed bytes that do not inflate, in libarchive's words.
    case notInflating(member: String?, reason: String)
    /// A member of text that is longer than any that is read.
    case longText(member: String, found: Int, limit: Int)

    var explanation: String {
        switch self {
        case .overlap: "its members overlap, or are larger than the file"
        case .duplicate(let member): "the member `\(member)` occurs twice"
        case .noEndRecord: "it has no end record"
        case .noZip64EndRecord: "its zip64 end record is missing"
        case .memberCount(let count): "\(count) members do not fit the file"
        case .noEntry(let place): "expected a directory entry at byte \(place)"
        case .noLocalHeader(let member): "`\(member)` has no local header"
        case .storedSize(let member): "`\(member)` is stored, with two different sizes"
        case .inflation(let member, let from, let to):
            "`\(member)` claims to inflate from \(from) to \(to) bytes"
        case .outOfMemory: "out of memory"
        case .outside(let member): Self.about(member) + "it is past the end"
        case .notInflating(let member, let reason):
            Self.about(member) + "it does not inflate: \(reason)"
        case .longText(let member, let found, let limit):
            "`\(member)` has \(found) bytes of text, expected at most \(limit)"
        }
    }

    private static func about(_ member: String?) -> String { member.map { "`\($0)`: " } ?? "" }

    /// The cause with the name of the member, which who inflates does not know.
    func named(_ member: String) -> ZipFlaw {
        switch self {
        case .outside: .outside(member: member)
        case .notInflating(_, let reason): .notInflating(member: member, reason: reason)
        default: self
        }
    }
}

/// One way in which a tar archive contradicts the format.
public enum TarFlaw: Equatable, Sendable, Codable {
    /// A header without size and sum.
    case noSize(at: Int)
    /// A header whose sum is another.
    case wrongSum(at: Int)
    /// A file that ends after the archive.
    case outside(at: Int)
    /// No header at all.
    case noHeader
    /// Bytes missing after this one.
    case truncated(after: Int)

    var explanation: String {
        switch self {
        case .noSize(let place): "the header at byte \(place) has no size and sum"
        case .wrongSum(let place): "the sum of the header at byte \(place) is wrong"
        case .outside(let place): "the file at byte \(place) ends after the archive"
        case .noHeader: "it has no header"
        case .truncated(let place): "it is cut short after byte \(place)"
        }
    }
}

/// Why an archive is not unpacked.
public enum UnpackingFlaw: Equatable, Sendable, Codable {
    /// libarchive has no memory.
    case outOfMemory
    /// libarchive cannot read it, in its words.
    case unreadable(reason: String)
    /// More files than are unpacked.
    case tooManyFiles(limit: Int)
    /// A file whose name cannot be read.
    case unreadableName(file: Int)
    /// A name that leads out of the archive.
    case leadsOut(String)

    var explanation: String {
        switch self {
        case .outOfMemory: "out of memory"
        case .unreadable(let reason): reason
        case .tooManyFiles(let limit): "it has more than \(limit) files"
        case .unreadableName(let file): "the name of its file \(file) cannot be read"
        case .leadsOut(let name): "`\(name)` leads out of the archive"
        }
    }
}

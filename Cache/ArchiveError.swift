// What an archive can hold that is refused, and what reading one can meet.

public import GraftTensors

/// An archive that cannot be read, or that holds what must not be unpacked.
public enum ArchiveError: Diagnostic, Equatable {
    /// libarchive has no memory.
    case outOfMemory
    /// libarchive cannot read it, for the reason that it gives.
    case unreadable(archive: String, reason: String)
    /// libarchive cannot write it, for the reason that it gives.
    case unwritable(archive: String, reason: String)
    /// A member that must not be unpacked, or an entry of a bundle's list that contradicts itself.
    case refused(archive: String, member: String, ArchiveFlaw)
    /// More than there is any reason to unpack.
    case tooLarge(archive: String, ArchiveLimit)
    /// A member that ends before its size.
    case truncatedMember(archive: String, member: String, expected: Int, found: Int)
    /// No regular file in it.
    case empty(archive: String)
    /// No member of this name; those that are there.
    case noMember(archive: String, name: String, found: [String])
    /// Several members of this name.
    case manyMembers(name: String, found: [String])
    /// Not what ``BundleExport`` writes.
    case notABundle(archive: String)
    /// A bundle of another version.
    case bundleVersion(archive: String, expected: Int, found: Int)
    /// A content that a bundle lists and does not hold.
    case missingContent(archive: String, sha256: String)

    /// The cause in words.
    public var message: String {
        switch self {
        case .outOfMemory: "out of memory"
        case .unreadable(let archive, let reason): "cannot read the archive `\(archive)`: \(reason)"
        case .unwritable(let archive, let reason):
            "cannot write the archive `\(archive)`: \(reason)"
        case .refused(let archive, let member, let flaw):
            "`\(archive)` is refused: `\(Self.shown(member))` \(flaw.explanation)"
        case .tooLarge(let archive, let limit):
            "`\(archive)` is refused: it unpacks to more than \(limit.explanation)"
        case .truncatedMember(let archive, let member, let expected, let found):
            "`\(archive)` is cut short: `\(Self.shown(member))` has \(found) of \(expected) bytes"
        case .empty(let archive): "`\(archive)` holds no files"
        case .noMember(let archive, let name, _): "`\(archive)` holds no file `\(name)`"
        case .manyMembers(let name, let found): "`\(name)` names \(found.count) files"
        case .notABundle(let archive):
            "`\(archive)` is not a bundle: its first member must be `\(BundleManifest.memberName)`"
        case .bundleVersion(let archive, let expected, let found):
            "`\(archive)` is a bundle of format \(found), this graft reads format \(expected)"
        case .missingContent(let archive, let sha256):
            "`\(archive)` is cut short: it lists `\(sha256)` and does not hold it"
        }
    }

    /// A step to take.
    public var hint: String? {
        switch self {
        case .outOfMemory, .unwritable, .empty: nil
        case .unreadable: "it is cut short or damaged; get it again"
        case .refused: "nothing of it was kept; ask its publisher for an archive of plain files"
        case .tooLarge:
            "nothing of it was kept; an archive that grows so much is made to fill disks"
        case .truncatedMember: "get it again"
        case .noMember(_, _, let found), .manyMembers(_, let found):
            "it holds " + found.prefix(12).map { "`\($0)`" }.joined(separator: ", ")
        case .notABundle: "`graft cache export NAME… -o FILE.tar.zst` makes one"
        case .bundleVersion: "use a newer graft"
        case .missingContent: "nothing was imported; get the bundle again"
        }
    }

    /// A name as errors show it: one line of printable characters.
    private static func shown(_ name: String) -> String {
        String(
            name.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : Character($0) }
                .prefix(200))
    }
}

/// Why a member of an archive, or an entry of a bundle's list, is refused.
public enum ArchiveFlaw: Equatable, Sendable {
    // Members.
    /// A symbolic or hard link.
    case link
    /// A device, a pipe or a socket.
    case device
    /// A path that is not below the folder.
    case leadsOut
    /// The same path again.
    case twice
    /// A folder whose path is that of a file.
    case alsoFile
    /// A file below a file.
    case insideFile(String?)
    /// A name that is not a plain file name.
    case notFileName
    // Contents of a bundle.
    /// A member that the list does not name.
    case notListed
    /// More bytes than the list says.
    case longerThanListed
    /// Bytes with another SHA-256.
    case wrongDigest(found: String)
    /// Bytes that git calls otherwise than the commit does.
    case wrongGitName(expected: String)
    /// A file that the commit does not list.
    case notInCommit(String)
    /// Another file than the one that the commit lists.
    case notTheFileOfCommit(String)
    // The list of a bundle.
    /// No SHA-256 with a size.
    case notContent
    /// Contents whose sizes have no sum.
    case contentsTooLarge
    /// Files whose sizes have no sum.
    case filesTooLarge
    /// No name of a repository.
    case notRepository
    /// No commit.
    case notCommit
    /// No name of a branch or tag.
    case notRef
    /// A digest that is not that of the content.
    case otherDigest
    /// A file whose content is not listed.
    case noContent
    /// Another file than the listing of its commit says.
    case contradictsListing
    /// A listing that contradicts itself.
    case brokenListing
    /// No entry of a cache.
    case notEntry
    /// Other bytes than those of the first fetch.
    case changedSinceFirstFetch

    /// The cause in words, after the name of the member.
    var explanation: String {
        switch self {
        case .link: "is a link"
        case .device: "is a device"
        case .leadsOut: "leads out of its folder"
        case .twice: "is there twice"
        case .alsoFile: "is there as a file too"
        case .insideFile(let file): file.map { "is inside the file `\($0)`" } ?? "is inside a file"
        case .notFileName: "is not a file name"
        case .notListed: "is not in its list"
        case .longerThanListed: "is larger than its list says"
        case .wrongDigest(let found): "hashes to `sha256:\(found)`"
        case .wrongGitName(let expected):
            "is not the `git-sha1:\(expected)` that a commit calls it"
        case .notInCommit(let commit): "is not a file of commit `\(commit)`"
        case .notTheFileOfCommit(let commit): "is not the file that commit `\(commit)` lists"
        case .notContent: "is not a SHA-256 with a size"
        case .contentsTooLarge: "lists contents of more than \(ByteCount.maximum) bytes"
        case .filesTooLarge: "has files of more than \(ByteCount.maximum) bytes"
        case .notRepository: "is not the name of a repository"
        case .notCommit: "is not a commit"
        case .notRef: "is not the name of a branch or tag"
        case .otherDigest: "is called by another digest than its own"
        case .noContent: "has no content in it"
        case .contradictsListing: "is not the file that its commit lists"
        case .brokenListing: "has a listing that is not sound"
        case .notEntry: "is not the entry of a cache"
        case .changedSinceFirstFetch: "is not what it was when it was first fetched"
        }
    }
}

/// A limit that an archive must not exceed.
public enum ArchiveLimit: Equatable, Sendable {
    /// Bytes in all.
    case bytes(Int)
    /// Members in all.
    case members(Int)
    /// Bytes of a bundle's list.
    case listBytes(Int)

    /// The limit, after "more than".
    var explanation: String {
        switch self {
        case .bytes(let count): "\(count) bytes"
        case .members(let count): "\(count) members"
        case .listBytes(let count): "\(count >> 20) MiB of a list"
        }
    }
}

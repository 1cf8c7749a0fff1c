// What a bundle of models says that it holds: its first member, read before anything else.

import FoundationEssentials
import GraftTensors

/// The list in `graft-bundle.json` of a bundle, a `.tar.zst` whose other members are
/// `contents/<sha256>`, each once, in the order of ``contents``.
struct BundleManifest: Codable {
    static let memberName = "graft-bundle.json"
    static let format = 1

    /// One commit of a repository of the Hub.
    struct Repository: Codable {
        let kind: HubName.Kind
        let id: String
        let commit: String
        let refs: [String]
        let files: ByPath<File>
        /// What the commit holds in all, where that is known.
        let tree: TreeListing?
        /// When graft last used it, in seconds since 1970.
        let used: Int

        var name: HubName? { HubName(kind, id) }
    }

    /// One file of a commit.
    struct File: Codable {
        /// What the Hub's cache calls it.
        let etag: String
        let sha256: String
        let byteCount: Int
    }

    /// One file of graft's own cache.
    struct Own: Codable {
        let entry: Cache.Entry
        /// What its address held when it was first fetched.
        let firstSeen: Cache.FirstSeen?
        let used: Int
    }

    /// The bytes of one or more files.
    struct Content: Codable {
        let sha256: String
        let byteCount: Int
    }

    let format: Int
    /// When it was made, RFC 3339.
    let made: String
    let repositories: [Repository]
    let files: [Own]
    let contents: [Content]

    /// The manifest that `bytes` are.
    /// - Throws: ``ArchiveError`` where it is none, or names what it must not.
    init(_ bytes: [UInt8], of archive: String) throws {
        struct Version: Decodable { let format: Int }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(bytes)) else {
            throw Self.noBundle(archive)
        }
        guard version.format == Self.format else {
            throw ArchiveError(
                "`\(archive)` is a bundle of format \(version.format), this graft reads format "
                    + "\(Self.format)",
                hint: "use a newer graft")
        }
        guard
            let manifest = try? decoder.decode(
                Self.self, from: Data(JSONKeys.protected(bytes)))
        else {
            throw Self.noBundle(archive)
        }
        self = manifest
        try check(archive)
    }

    init(repositories: [Repository], files: [Own], contents: [Content]) {
        format = Self.format
        made = Quantity.moment(Quantity.now)
        self.repositories = repositories
        self.files = files
        self.contents = contents
    }

    static func noBundle(_ archive: String) -> ArchiveError {
        ArchiveError(
            "`\(archive)` is no bundle: its first member must be `\(memberName)`",
            hint: "`graft cache export NAME… -o FILE.tar.zst` makes one")
    }

    /// Every name stays in its place, every digest is one, and every file has its content.
    private func check(_ archive: String) throws {
        func refuse(_ name: String, _ reason: String) -> ArchiveError {
            .refused(archive, name, reason)
        }
        var sizes: [String: Int] = [:]
        for content in contents {
            guard HubCache.isHex(content.sha256, 64), ByteCount.isSound(content.byteCount) else {
                throw refuse(content.sha256, "is not a SHA-256 with a size")
            }
            guard sizes.updateValue(content.byteCount, forKey: content.sha256) == nil else {
                throw refuse(content.sha256, "is there twice")
            }
        }
        guard contents.map(\.byteCount).checkedSum != nil else {
            throw refuse(Self.memberName, "lists contents of more than \(ByteCount.maximum) bytes")
        }
        for repository in repositories {
            guard repository.files.map(\.value.byteCount).checkedSum != nil else {
                throw refuse(repository.id, "has files of more than \(ByteCount.maximum) bytes")
            }
            guard repository.name != nil else {
                throw refuse(repository.id, "is no name of a repository")
            }
            guard HubCache.isCommit(repository.commit) else {
                throw refuse(repository.commit, "is no commit")
            }
            for ref in repository.refs where !RelativePath.isSafe(ref) || HubCache.isCommit(ref) {
                throw refuse(ref, "is no name of a branch or tag")
            }
            for (path, file) in repository.files {
                guard RelativePath.isSafe(path) else {
                    throw refuse(path, "leads out of its folder")
                }
                guard Files.isPlainName(file.etag), file.etag.utf8.count <= 200,
                    !file.etag.contains("."),
                    file.etag.utf8.count != 64 || file.etag == file.sha256
                        || !HubCache.isHex(file.etag, 64)
                else { throw refuse(path, "is called by another digest than its own") }
                guard sizes[file.sha256] == file.byteCount else {
                    throw refuse(path, "has no content in it")
                }
                if let known = repository.tree?.files[path],
                    known.etag != file.etag || known.byteCount != file.byteCount
                {
                    throw refuse(path, "is not the file that its commit lists")
                }
            }
            if let (file, inside) = RelativePath.conflict(among: repository.files.keys) {
                throw refuse(inside, "lies in the file `\(file)`")
            }
            guard repository.tree?.isSound ?? true else {
                throw refuse(repository.id, "has a listing that is not sound")
            }
        }
        for own in files {
            let entry = own.entry
            guard HubCache.isHex(entry.sha256, 64), Files.isPlainName(entry.fileName),
                !entry.reference.isEmpty
            else { throw refuse(entry.reference, "is not the entry of a cache") }
            guard sizes[entry.sha256] == entry.byteCount else {
                throw refuse(entry.reference, "has no content in it")
            }
            if let known = own.firstSeen, known.url != entry.url || known.sha256 != entry.sha256 {
                throw refuse(entry.reference, "is not what it was when it was first fetched")
            }
        }
    }
}

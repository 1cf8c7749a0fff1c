// What a bundle of models says that it holds: its first member, read before anything else.

import FoundationEssentials
import GraftTensors

/// The list in `graft-bundle.json` of a bundle, a `.tar.zst` whose other members are
/// `contents/<sha256>`, each once, in the order of ``contents``.
struct BundleManifest: Codable {
    static let memberName = "graft-bundle.json"
    /// The largest list that is read.
    static let maximumByteCount = 256 << 20
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
            throw ArchiveError.notABundle(archive: archive)
        }
        guard version.format == Self.format else {
            throw ArchiveError.bundleVersion(
                archive: archive, expected: Self.format, found: version.format)
        }
        guard
            let manifest = try? decoder.decode(
                Self.self, from: Data(JSONKeys.protected(bytes)))
        else {
            throw ArchiveError.notABundle(archive: archive)
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

    /// Every name stays in its place, every digest is one, and every file has its content.
    private func check(_ archive: String) throws {
        func refused(_ name: String, _ flaw: ArchiveFlaw) -> ArchiveError {
            .refused(archive: archive, member: name, flaw)
        }
        var sizes: [String: Int] = [:]
        for content in contents {
            guard HubCache.isHex(content.sha256, 64), ByteCount.isSound(content.byteCount) else {
                throw refused(content.sha256, .notContent)
            }
            guard sizes.updateValue(content.byteCount, forKey: content.sha256) == nil else {
                throw refused(content.sha256, .twice)
            }
        }
        guard contents.map(\.byteCount).checkedSum != nil else {
            throw refused(Self.memberName, .contentsTooLarge)
        }
        for repository in repositories {
            guard repository.files.map(\.value.byteCount).checkedSum != nil else {
                throw refused(repository.id, .filesTooLarge)
            }
            guard repository.name != nil else {
                throw refused(repository.id, .notRepository)
            }
            guard HubCache.isCommit(repository.commit) else {
                throw refused(repository.commit, .notCommit)
            }
            for ref in repository.refs where !RelativePath.isSafe(ref) || HubCache.isCommit(ref) {
                throw refused(ref, .notRef)
            }
            for (path, file) in repository.files {
                guard RelativePath.isSafe(path) else {
                    throw refused(path, .leadsOut)
                }
                guard Files.isPlainName(file.etag), file.etag.utf8.count <= 200,
                    !file.etag.contains("."),
                    file.etag.utf8.count != 64 || file.etag == file.sha256
                        || !HubCache.isHex(file.etag, 64)
                else { throw refused(path, .otherDigest) }
                guard sizes[file.sha256] == file.byteCount else {
                    throw refused(path, .noContent)
                }
                if let known = repository.tree?.files[path],
                    known.etag != file.etag || known.byteCount != file.byteCount
                {
                    throw refused(path, .contradictsListing)
                }
            }
            if let (file, inside) = RelativePath.conflict(among: repository.files.keys) {
                throw refused(inside, .insideFile(file))
            }
            guard repository.tree?.isSound ?? true else {
                throw refused(repository.id, .brokenListing)
            }
        }
        for own in files {
            let entry = own.entry
            guard HubCache.isHex(entry.sha256, 64), Files.isPlainName(entry.fileName),
                !entry.reference.isEmpty
            else { throw refused(entry.reference, .notEntry) }
            guard sizes[entry.sha256] == entry.byteCount else {
                throw refused(entry.reference, .noContent)
            }
            if let known = own.firstSeen, known.url != entry.url || known.sha256 != entry.sha256 {
                throw refused(entry.reference, .changedSinceFirstFetch)
            }
        }
    }
}

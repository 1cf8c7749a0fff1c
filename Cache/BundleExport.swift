// Models as one file, for machines without a network: `graft cache export`.

import FoundationEssentials
import GraftTensors

/// Writes items of an inventory as a bundle (``BundleImport`` reads it).
public struct BundleExport {
    /// What goes into it.
    public let items: [CacheItem]
    /// The bytes of its contents, each counted once.
    public let byteCount: Int
    /// How many contents it has.
    public let contentCount: Int
    private let manifest: BundleManifest
    /// Where the bytes of each content are.
    private let sources: [String: String]

    /// Looks at the files of items. What has no published SHA-256 is hashed now.
    /// - Throws: ``CacheError/damaged(path:expected:found:)`` for a file that changed,
    ///   ``CacheError/notPortable(_:)`` for features, which other machines compute anew.
    public init(_ items: [CacheItem], of inventory: Inventory) throws {
        var sources: [String: String] = [:]
        var contents: [BundleManifest.Content] = []
        func add(_ sha256: String, _ byteCount: Int, _ path: String) {
            guard sources.updateValue(path, forKey: sha256) == nil else { return }
            contents.append(BundleManifest.Content(sha256: sha256, byteCount: byteCount))
        }
        let repositories = Dictionary(
            inventory.repositories.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let entries = Dictionary(
            inventory.entries.map { ($0.reference, $0) }, uniquingKeysWith: { first, _ in first })
        var packed: [BundleManifest.Repository] = []
        var own: [BundleManifest.Own] = []
        for item in items {
            if let entry = entries[item.id], item.kind == .file {
                let path = inventory.cache.path(of: entry)
                guard Files.size(of: path) == entry.byteCount else {
                    throw CacheError.unknown(entry.reference)
                }
                add(entry.sha256, entry.byteCount, path)
                own.append(
                    BundleManifest.Own(
                        entry: entry, firstSeen: inventory.cache.firstSeen(entry.url),
                        used: item.used))
                continue
            }
            guard let repository = repositories[item.id],
                let revision = repository.revisions.first(where: { $0.commit == item.commit })
            else { throw CacheError.notPortable(item.reference) }
            guard let name = HubName(repository.kind, repository.name),
                HubCache.isCommit(revision.commit)
            else { throw CacheError.notPortable(item.reference) }
            let tree = TreeListing.read(revision.commit, of: repository)
            var files = ByPath<BundleManifest.File>()
            for entry in revision.entries {
                let file = repository.files[entry.file]
                let path = "\(repository.folder)/\(file.path)"
                // What the commit lists counts: bytes that are none of its are not handed on.
                let blob = tree?.files[entry.path]?.etag ?? file.blobName
                let sha256 = try Self.sha256(path, blob)
                add(sha256, file.byteCount, path)
                files[entry.path] = BundleManifest.File(
                    etag: blob ?? sha256, sha256: sha256, byteCount: file.byteCount)
            }
            packed.append(
                BundleManifest.Repository(
                    kind: name.kind, id: name.id, commit: revision.commit,
                    refs: revision.refs.filter { RelativePath.isSafe($0) }, files: files,
                    tree: tree, used: item.used))
        }
        self.items = items
        self.sources = sources
        byteCount = contents.map(\.byteCount).clampedSum
        contentCount = contents.count
        manifest = BundleManifest(repositories: packed, files: own, contents: contents)
    }

    /// The SHA-256 of a file: the one that it is called by, or what it hashes to.
    private static func sha256(_ path: String, _ etag: String?) throws -> String {
        if let etag, HubCache.isHex(etag, 64) { return etag }
        let digest = etag.flatMap { HubCache.isCommit($0) ? Digest.gitBlob($0) : nil }
        let sums = try ContentHasher.over(path, for: digest).finalize()
        if let digest, !digest.matches(sums) {
            throw CacheError.damagedBlob(
                path: path, expected: digest.description, found: digest.found(sums))
        }
        return sums.sha256
    }

    /// Writes the bundle, hashing each file on the way; it appears complete or not at all.
    public func write(to path: String, progress: ((Int) -> Void)? = nil) throws {
        let archive = try ArchiveWriter(replacing: path)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try archive.add(
            JSONKeys.plain(Array(try encoder.encode(manifest))), as: BundleManifest.memberName)
        var done = 0
        for content in manifest.contents {
            guard let source = sources[content.sha256] else { continue }
            try archive.add(
                source, as: "contents/" + content.sha256, byteCount: content.byteCount,
                sha256: content.sha256)
            done += content.byteCount
            progress?(done)
        }
        try archive.commit()
    }
}

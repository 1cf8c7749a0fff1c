// Finds repositories, commits and files in the cache, and lets no path lead out of it.

import GraftCache
import GraftServer
import Synchronization

/// The part of the Hub cache that can be handed out.
final class Shelf: Sendable {
    let hub: HubCache
    let scanner: HubScanner
    /// Digests of files without a name that says them, by path, size and time.
    private let digests = Mutex<[String: String]>([:])
    private let listings = Mutex(Listings())

    init(root: String?) {
        scanner = HubScanner(root: root)
        hub = HubCache(root: scanner.root)
    }

    /// The repositories of a kind, by name.
    func names(_ kind: HubName.Kind) -> [String] {
        Files.names(in: hub.root).compactMap { HubName(folderName: $0) }
            .filter { $0.kind == kind && HubName(kind, $0.id) != nil && has($0) }.map(\.id)
    }

    /// Whether anything of a repository is here.
    func has(_ name: HubName) -> Bool { Files.isFolder(hub.folder(name) + "/snapshots") }

    /// The commit of a branch, tag or commit whose files are here.
    func commit(_ name: HubName, revision: String) -> String? {
        let heads = "refs/heads/"
        let revision =
            revision.hasPrefix(heads) ? String(revision.dropFirst(heads.utf8.count)) : revision
        guard let commit = hub.commit(name, revision),
            Files.isFolder(hub.snapshot(name, commit))
        else { return nil }
        return commit
    }

    /// The branches and tags of a repository.
    func refs(_ name: HubName) -> [(ref: String, commit: String)] {
        (scanner.repository(folderName: name.folderName)?.revisions ?? []).flatMap { revision in
            revision.refs.map { ($0, revision.commit) }
        }.sorted { $0.ref < $1.ref }
    }

    // MARK: Use

    /// The snapshots whose use was recorded of late, with the time.
    private let recorded = Mutex<[String: Int]>([:])

    /// Records the use of a commit, at most once per minute: files are asked for much more often.
    func recordUse(of name: HubName, commit: String, in cache: Cache) {
        let (key, now) = ("\(name.folderName)/\(commit)", Quantity.now)
        let isNew = recorded.withLock { recorded in
            if let last = recorded[key], now - last < 60 { return false }
            if recorded.count >= Listings.fileCount { recorded = [:] }
            recorded[key] = now
            return true
        }
        if isNew { cache.recordUse(of: hub.snapshot(name, commit)) }
    }

    // MARK: Listings

    /// The listings that were made, with the state of the disk that they tell of.
    private struct Listings {
        struct Kept {
            let listing: CommitListing
            let stamps: [Stamp]
            var lastUse: Int
        }
        var kept: [String: Kept] = [:]
        var uses = 0
        /// Listings, and files in all of them, that are kept.
        static let count = 256
        static let fileCount = 500_000

        mutating func take(_ key: String) -> Kept? {
            uses += 1
            kept[key]?.lastUse = uses
            return kept[key]
        }

        mutating func add(_ listing: CommitListing, as key: String, stamps: [Stamp]) {
            uses += 1
            kept[key] = Kept(listing: listing, stamps: stamps, lastUse: uses)
            while kept.count > Self.count
                || kept.count > 1
                    && kept.values.map(\.listing.files.count).clampedSum > Self.fileCount
            {
                guard let oldest = kept.min(by: { $0.value.lastUse < $1.value.lastUse })?.key else {
                    return
                }
                kept[oldest] = nil
            }
        }
    }

    /// The files of a commit that are here. Made anew only when a folder of the commit has changed.
    func listing(_ name: HubName, commit: String) throws -> CommitListing {
        let key = "\(name.folderName)/\(commit)"
        if let kept = listings.withLock({ $0.take(key) }), kept.stamps.allSatisfy(\.isCurrent) {
            return kept.listing
        }
        guard let repository = scanner.repository(folderName: name.folderName),
            let revision = repository.revisions.first(where: { $0.commit == commit })
        else { return CommitListing(commit: commit, files: [], modified: 0) }
        let tree = hub.tree(name, commit)
        let snapshot = hub.snapshot(name, commit)
        var watched = [snapshot, hub.blobs(name), tree]
        watched += Set(revision.entries.flatMap { ExactText($0.path).foldersAbove })
            .map { "\(snapshot)/\($0.text)" }
        let stamps = watched.compactMap { Stamp($0) }
        let listed = TreeListing.read(tree)
        var plain: [String] = []
        let files = revision.entries.compactMap { entry -> CommitListing.File? in
            let stored = repository.files[entry.file]
            let place = "\(repository.folder)/\(stored.path)"
            // A link that leads anywhere but to a blob is not handed out, and not listed.
            guard RelativePath.isSafe(entry.path),
                stored.path.hasPrefix("blobs/") || destination(place) == nil
            else { return nil }
            let blob = stored.path.hasPrefix("blobs/") ? String(stored.path.dropFirst(6)) : nil
            if blob == nil { plain.append(place) }
            let known = listed?.files[entry.path]
            guard let etag = self.name(blob: blob, listed: known, at: place) else { return nil }
            let object =
                etag.utf8.count == 40
                ? etag
                : known?.blobID
                    ?? CommitListing.File.pointerObject(sha256: etag, byteCount: stored.byteCount)
            return CommitListing.File(
                path: entry.path, byteCount: stored.byteCount, etag: etag, object: object)
        }
        let listing = CommitListing(commit: commit, files: files, modified: revision.modified)
        // A tree that appears later changes digests.
        guard stamps.count == watched.count || listed == nil else { return listing }
        let all = stamps + plain.compactMap { Stamp($0) }
        guard all.allSatisfy(\.isSettled) else { return listing }
        listings.withLock { $0.add(listing, as: key, stamps: all) }
        return listing
    }

    // MARK: Files

    /// An open file of a commit.
    struct Found {
        let file: CommitListing.File
        let open: ServedFile
    }

    /// One file of a commit; nil where it is not here, or leads out of the cache.
    /// - Throws: `FileError` if no more files can be opened.
    func open(_ name: HubName, commit: String, path: String) throws -> Found? {
        guard RelativePath.isSafe(path) else { return nil }
        let place = "\(hub.snapshot(name, commit))/\(path)"
        guard let real = realPath(place),
            [hub.root, hub.folder(name)].contains(where: { isInside(real, folder: $0) })
        else { return nil }
        let open: ServedFile
        do {
            open = try ServedFile(real)
        } catch  where !ServedFile.isExhausted(error) {
            return nil
        }
        let blob = destination(place).flatMap { target -> String? in
            let parts = target.pathParts
            guard parts.count >= 2, parts[parts.count - 2] == "blobs" else { return nil }
            return parts.last
        }
        let isNamed = blob.map { Self.isDigest($0) } ?? false
        let listed = isNamed ? nil : TreeListing.read(hub.tree(name, commit))?.files[path]
        guard let etag = self.name(blob: blob, listed: listed, at: real) else { return nil }
        let file = CommitListing.File(
            path: path, byteCount: open.byteCount, etag: etag, object: "")
        return Found(file: file, open: open)
    }

    private static func isDigest(_ blob: String) -> Bool {
        HubCache.isHex(blob, 64) || HubCache.isCommit(blob)
    }

    /// The digest that clients call a file by.
    private func name(
        blob: String?, listed: TreeListing.File?, at place: String
    ) -> String? {
        let named = blob.flatMap { Self.isDigest($0) ? $0 : nil }
        return named ?? listed?.etag ?? digest(of: place)
    }

    /// Git's name of a file that nothing else names: read once while it stays the same.
    private func digest(of place: String) -> String? {
        guard let stamp = Stamp(place), let size = Files.size(of: place) else { return nil }
        let key = "\(place) \(size) \(stamp.seconds) \(stamp.nanoseconds)"
        if let known = digests.withLock({ $0[key] }) { return known }
        guard let found = try? ContentHasher.gitBlob(file: place) else { return nil }
        digests.withLock { digests in
            if digests.count > Listings.fileCount { digests = [:] }
            digests[key] = found
        }
        return found
    }

    /// Whether a real path lies in a folder.
    private func isInside(_ path: String, folder: String) -> Bool {
        guard let folder = realPath(folder) else { return false }
        return path.hasBytes(folder + "/")
    }
}

// Finds repositories, commits and files in the cache, and lets no path lead out of it.

import FoundationEssentials
import GraftCache
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What of the Hub cache can be handed out.
final class Shelf: Sendable {
    /// One file of a commit.
    struct File: Sendable {
        /// Its path in the repository.
        let path: String
        /// Its size.
        let byteCount: Int
        /// Its SHA-256, 64 hex digits, or what git calls it, 40.
        let etag: String
        /// What git calls it: for large files the pointer.
        let object: String

        var isLarge: Bool { etag.utf8.count == 64 }
        /// The length of the text that git keeps for a large file.
        var pointerLength: Int { Self.pointer(etag, byteCount).utf8.count }

        static func pointer(_ sha256: String, _ byteCount: Int) -> String {
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(sha256)\nsize \(byteCount)\n"
        }
    }

    let hub: HubCache
    private let scanner: HubScanner
    /// Digests of files without a name that says them, by path, size and time.
    private let digests = Mutex<[String: String]>([:])

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
    func commit(_ name: HubName, _ revision: String) -> String? {
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

    /// The files of a commit that are here, by path, and when the last of them came.
    func files(_ name: HubName, _ commit: String) -> (files: [File], modified: Int) {
        guard let repository = scanner.repository(folderName: name.folderName),
            let revision = repository.revisions.first(where: { $0.commit == commit })
        else { return ([], 0) }
        let tree = TreeListing.read(commit, of: repository)
        let files = revision.entries.compactMap { entry -> File? in
            let stored = repository.files[entry.file]
            let place = "\(repository.folder)/\(stored.path)"
            // A link that leads anywhere but to a blob is not handed out, and not listed.
            guard RelativePath.isSafe(entry.path),
                stored.path.hasPrefix("blobs/") || destination(place) == nil
            else { return nil }
            let name = stored.path.hasPrefix("blobs/") ? String(stored.path.dropFirst(6)) : nil
            return file(
                entry.path, stored.byteCount, blob: name, listed: tree?.files[entry.path],
                at: place)
        }
        return (files.sorted { $0.path < $1.path }, revision.modified)
    }

    /// One file of a commit, open; nil where it is not here, or leads out of the cache.
    func open(_ name: HubName, _ commit: String, _ path: String) -> (file: File, open: OpenFile)? {
        guard RelativePath.isSafe(path) else { return nil }
        let place = "\(hub.snapshot(name, commit))/\(path)"
        guard let real = realPath(place),
            [hub.root, hub.folder(name)].contains(where: { isInside(real, $0) }),
            let open = OpenFile(real, named: place)
        else { return nil }
        let blob = destination(place).flatMap { target -> String? in
            let parts = target.split(separator: "/")
            guard parts.count >= 2, parts[parts.count - 2] == "blobs" else { return nil }
            return parts.last.map(String.init)
        }
        let listed =
            blob == nil || blob?.utf8.count == 64
            ? TreeListing.read(hub.tree(name, commit))?.files[path] : nil
        guard let file = file(path, open.byteCount, blob: blob, listed: listed, at: real) else {
            return nil
        }
        return (file, open)
    }

    private func file(
        _ path: String, _ byteCount: Int, blob: String?, listed: TreeListing.File?, at place: String
    ) -> File? {
        let name = blob.flatMap { HubCache.isHex($0, 64) || HubCache.isHex($0, 40) ? $0 : nil }
        guard let etag = name ?? listed?.etag ?? digest(of: place, byteCount) else { return nil }
        let pointer = File.pointer(etag, byteCount)
        let object =
            etag.utf8.count == 40
            ? etag : listed?.blobID ?? ContentHasher.gitBlob(of: Array(pointer.utf8))
        return File(path: path, byteCount: byteCount, etag: etag, object: object)
    }

    /// What git calls a file that nothing else names: read once while it stays the same.
    private func digest(of place: String, _ byteCount: Int) -> String? {
        var status = stat()
        guard stat(place, &status) == 0 else { return nil }
        let key = "\(place) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
        if let known = digests.withLock({ $0[key] }) { return known }
        guard let found = try? ContentHasher.gitBlob(file: place) else {
            return nil
        }
        digests.withLock { $0[key] = found }
        return found
    }

    /// Whether a real path lies in a folder.
    private func isInside(_ path: String, _ folder: String) -> Bool {
        guard let folder = realPath(folder) else { return false }
        return path.hasPrefix(folder + "/")
    }
}

/// A path without links in it; nil where nothing is there.
private func realPath(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
}

/// Where a symbolic link points.
private func destination(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
        guard let start = buffer.baseAddress else { return nil }
        let count = readlink(path, start, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

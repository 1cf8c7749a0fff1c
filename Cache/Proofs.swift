// Files whose name does not say what they hash to, and that were hashed: `proven/<sha256 of path>`.

import GraftSystem

/// Remembers that a file had a digest, for as long as the file stays as it is.
package struct Proofs: Sendable {
    private let folder: String

    /// The proofs of a cache.
    package init(_ cache: Cache) { folder = cache.root.isEmpty ? "" : cache.root + "/proven" }

    /// Whether the bytes of a file are those of a digest: remembered, or hashed now.
    package func holds(_ path: String, _ digest: Digest) -> Bool {
        guard let stamp = stamp(path, digest) else { return false }
        if !folder.isEmpty, let known = Files.read(place(path), limit: 1 << 12),
            known.elementsEqual(stamp.utf8)
        {
            return true
        }
        guard let sums = try? ContentHasher.over(path, for: digest).finalize(),
            digest.matches(sums), self.stamp(path, digest) == stamp
        else { return false }
        record(stamp, path)
        return true
    }

    /// Remembers a file that was proven while it was written.
    package func add(_ path: String, _ digest: Digest) {
        stamp(path, digest).map { record($0, path) }
    }

    // A cache that cannot be written to hashes again.
    private func record(_ stamp: String, _ path: String) {
        guard !folder.isEmpty, (try? Files.makeFolder(folder)) != nil else { return }
        try? Files.write(Array(stamp.utf8), to: place(path), durably: false)
    }

    private func place(_ path: String) -> String { "\(folder)/\(ContentHasher.sha256(of: path))" }

    private func stamp(_ path: String, _ digest: Digest) -> String? {
        guard let status = FileSystem.find(path), status.kind == .file else { return nil }
        let (size, time) = (status.byteCount, status.modified)
        return "\(digest) \(size) \(time.seconds).\(time.nanoseconds) "
            + "\(status.device) \(status.inode)\n"
    }
}

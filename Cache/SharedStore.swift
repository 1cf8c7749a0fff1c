// The store that Python's huggingface_hub shares between repositories: read, and swept as it does.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// `<cache>/blobs/<2 hex>/<hash>`, each with a list of the links that need it in `<hash>.refs`.
///
/// graft never puts files there. It counts them once, and removes one when no link is left, under the
/// same lock as Python. On any doubt the file stays.
enum SharedStore {
    static let folderName = "blobs"

    /// Whether the folder is the store: one without the marker is none.
    static func exists(_ root: String) -> Bool {
        Files.size(of: "\(root)/\(folderName)/.huggingface-shared-blobs") != nil
    }

    /// The absolute path of the payload that a link in `<repository>/blobs` points to.
    static func target(_ link: String, root: String) -> String? {
        let parts = link.pathParts
        guard parts.count >= 3, let hash = parts.last, hash.utf8.count == 64,
            hash.utf8.allSatisfy(isHexDigit), parts[parts.count - 2] == hash.prefix(2),
            parts[parts.count - 3] == folderName
        else { return nil }
        return "\(root)/\(folderName)/\(hash.prefix(2))/\(hash)"
    }

    /// Every payload; their paths are absolute.
    static func payloads(_ root: String) -> [StoredFile] {
        guard exists(root) else { return [] }
        return Files.names(in: "\(root)/\(folderName)").filter { $0.utf8.count == 2 }.flatMap {
            part in
            let folder = "\(root)/\(folderName)/\(part)"
            return Files.names(in: folder)
                .filter { $0.utf8.count == 64 && $0.utf8.allSatisfy(isHexDigit) }
                .compactMap { StoredFile("\(folder)/\($0)") }
        }
    }

    /// Whether a link in some repository still leads to a payload.
    static func isNeeded(_ payload: String, root: String, except removed: Set<String> = []) -> Bool
    {
        guard let bytes = Files.read(payload + ".refs", limit: 64 << 20) else {
            // Without a list nobody can tell.
            return access(payload + ".refs", F_OK) == 0
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let path = "\(root)/\(line)"
            guard !removed.contains(path), let link = linkTarget(path) else { return false }
            return target(link, root: root) == payload
        }
    }

    /// Removes a payload that no link leads to; returns the bytes freed.
    static func sweep(_ payload: String, root: String) -> Int {
        guard let size = Files.size(of: payload),
            let lock = try? FileLock(trying: payload + ".lock", mode: 0o666)
        else { return 0 }
        return withExtendedLifetime(lock) {
            guard !isNeeded(payload, root: root), unlink(payload) == 0 else { return 0 }
            unlink(payload + ".refs")
            return size
        }
    }
}

/// Where a symbolic link points; nil where there is none.
func linkTarget(_ path: String, at folder: Int32 = AT_FDCWD) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
        guard let start = buffer.baseAddress else { return nil }
        let count = readlinkat(folder, path, start, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

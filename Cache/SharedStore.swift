// The store that Python's huggingface_hub shares between repositories: read, and swept as it does.

import GraftSystem

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
            hash.utf8.allSatisfy(Hex.isDigit), parts[parts.count - 2] == hash.prefix(2),
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
                .filter { $0.utf8.count == 64 && $0.utf8.allSatisfy(Hex.isDigit) }
                .compactMap { StoredFile("\(folder)/\($0)") }
        }
    }

    /// Whether a link in some repository still leads to a payload.
    static func isNeeded(_ payload: String, root: String, except removed: Set<String> = []) -> Bool
    {
        guard let bytes = Files.read(payload + ".refs", limit: 64 << 20) else {
            // Without a list nobody can tell.
            return FileSystem.exists(payload + ".refs")
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let path = "\(root)/\(line)"
            guard !removed.contains(path), let link = FileSystem.destination(ofLink: path) else {
                return false
            }
            return target(link, root: root) == payload
        }
    }

    /// Removes a payload that no link leads to; returns the bytes freed.
    static func sweep(_ payload: String, root: String) -> Int {
        guard let size = Files.size(of: payload),
            let lock = try? FileLock(trying: payload + ".lock", mode: 0o666)
        else { return 0 }
        return withExtendedLifetime(lock) {
            guard !isNeeded(payload, root: root), removeFile(payload) else { return 0 }
            removeFile(payload + ".refs")
            return size
        }
    }
}

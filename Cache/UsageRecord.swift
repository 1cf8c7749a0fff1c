// When graft last used what is in the cache: its own record, as access times of files tell lies.

import GraftSystem
import GraftTensors

/// A file of lines `<seconds since 1970> <folder>`, the later ones counting.
///
/// The folder is the smallest thing that is evicted: a snapshot of the Hub cache, the content of a
/// digest, the features of a model. Writing is best effort: a cache may be read-only.
struct UsageRecord {
    let path: String
    /// Beyond this, what was said twice is dropped.
    private static let limit = 1 << 20

    /// When each folder was last used.
    func load() -> [String: Int] {
        guard let bytes = Files.read(path, limit: 1 << 28) else { return [:] }
        var used: [String: Int] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let space = line.firstIndex(of: UInt8(ascii: " ")),
                let time = Int(String(decoding: line[..<space], as: UTF8.self))
            else { continue }
            let folder = String(decoding: line[(space + 1)...], as: UTF8.self)
            // Ages are differences: what is written there must not overflow them.
            let moment = min(Swift.max(time, 0), 1 << 53)
            used[folder] = Swift.max(used[folder] ?? 0, moment)
        }
        return used
    }

    /// Adds a use, now.
    func add(_ folder: String, at time: Int = Quantity.now) {
        guard !folder.utf8.contains(10) else { return }
        guard
            let file = try? FileDescriptor(
                opening: path, for: .writing, [.create, .append, .noLink], permissions: 0o664)
        else { return }
        _ = file.writeAtOnce(Array("\(time) \(folder)\n".utf8))
        if let size = Files.size(of: path), size > Self.limit { compact() }
    }

    /// Keeps the last use of each folder only. A use that another program adds meanwhile may get lost.
    private func compact() {
        let lines = load().sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            .map { "\($0.value) \($0.key)\n" }.joined()
        try? Files.write(Array(lines.utf8), to: path)
    }

    /// The snapshot of the Hub cache that a path is in.
    static func snapshot(of path: String) -> String? {
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { path[$0.startIndex..<$0.endIndex] }
        guard let index = parts.lastIndex(of: "snapshots"), index > 0, index + 1 < parts.count,
            HubRepository.parse(folderName: String(parts[index - 1])) != nil
        else { return nil }
        return parts[...(index + 1)].joined(separator: "/")
    }

    /// The last part of a path.
    static func name(of path: String) -> String {
        path.pathLast
    }

    /// The folder that a file is in.
    static func parent(of path: String) -> String {
        path.pathParent ?? path
    }
}

extension Cache {
    var usage: UsageRecord { UsageRecord(path: root + "/usage.log") }

    /// Writes down that a file of the cache was used, or a folder of features.
    ///
    /// `gc` evicts what was not used for longest. Best effort: a cache that cannot be written to keeps
    /// no record, and other paths are none of its business.
    public func recordUse(of path: String) {
        guard !root.isEmpty, Files.isFolder(root) || (try? Files.makeFolder(root)) != nil else {
            return
        }
        let path = Files.absolute(path)
        if let snapshot = UsageRecord.snapshot(of: path) {
            usage.add(snapshot)
        } else if path.hasPrefix(root + "/unpacked/") {
            // It goes with the archive that it came from.
            let digest = path.dropFirst(root.utf8.count + "/unpacked/".utf8.count).prefix(64)
            usage.add("\(root)/blobs/sha256/\(digest)")
        } else if path.hasPrefix(root + "/plans/") {
            usage.add(path)
        } else if path.hasPrefix(root + "/") {
            usage.add(Files.isFolder(path) ? path : UsageRecord.parent(of: path))
        }
    }
}

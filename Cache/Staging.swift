// Where contents of a bundle wait until all of them are proven.

import GraftSystem
import GraftTensors

/// Proven contents that nothing leads to yet; what is left of them goes with the value.
final class Staging {
    private let prefix: String
    private let folder: String

    init(_ cache: Cache) throws {
        let path = try cache.temporaryPath()
        folder = UsageRecord.parent(of: path)
        // Begins with the number of the process: whoever prunes leaves those of living ones alone.
        prefix = String(path.dropLast(".tmp".count).dropFirst(folder.utf8.count + 1))
    }

    deinit {
        for name in Files.names(in: folder) where name.hasPrefix(prefix) {
            removeFile("\(folder)/\(name)")
        }
    }

    func path(_ sha256: String) -> String { "\(folder)/\(prefix).\(sha256)" }

    /// Makes a content appear at `path`, whole: a further name of it, or a copy where that is elsewhere.
    func put(_ sha256: String, at path: String) throws {
        let temporary = "\(path).\(HubCache.infix()).incomplete"
        guard (try? FileSystem.link(self.path(sha256), to: temporary)) != nil else {
            return try Files.copy(self.path(sha256), to: path)
        }
        try Files.move(temporary, to: path)
    }
}

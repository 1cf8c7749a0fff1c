// Which parts of a large file the hub's store has, so that an upload that was killed goes on.

import FoundationEssentials
import GraftCache
import GraftTensors

/// `uploads/<sha256 of hub, repository and digest>.json` in graft's cache, readable by its owner alone: the
/// signed addresses of the parts are in it, for as long as the store takes them.
struct UploadJournal: Codable {
    /// Where the parts are put, in order.
    let parts: [String]
    /// Where it is said that all of them are there.
    let completion: String
    let partSize: Int
    /// The ETag of each part that was put, by its index.
    var etags: [Int: String] = [:]

    /// The journal at a path; nil where there is none for a file of this size.
    static func read(_ path: String?, byteCount: Int) -> UploadJournal? {
        guard let path, let bytes = Files.read(path, limit: 64 << 20),
            let journal = try? JSONDecoder().decode(Self.self, from: Data(bytes)),
            journal.isSound(byteCount)
        else { return nil }
        return journal
    }

    /// Whether its parts are those of a file of a size.
    func isSound(_ byteCount: Int) -> Bool {
        guard partSize > 0, ByteCount.isSound(partSize), ByteCount.isSound(byteCount) else {
            return false
        }
        let count = byteCount / partSize + (byteCount % partSize == 0 ? 0 : 1)
        return parts.count == count && etags.keys.allSatisfy { parts.indices.contains($0) }
    }

    /// Writes it down. What cannot be written costs a new start.
    func write(to path: String?) {
        guard let path, let folder = path.pathParent, (try? Files.makeFolder(folder)) != nil,
            let bytes = try? JSONEncoder().encode(self)
        else { return }
        try? Files.write(Array(bytes), to: path, durably: false, isPrivate: true)
    }
}

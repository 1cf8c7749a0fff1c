// Large files that the disk may not hold yet: after a power cut they are proven anew before they are trusted.

import FoundationEssentials
import GraftSystem
public import GraftTensors

/// Notes of large files that were proven and published while their last bytes were still on the way to
/// the disk: nobody waits for it (1 GB can take seconds), and nothing is lost for that. A note is on the
/// disk before its file has a name. It goes when the disk has the file, or, if the machine went down
/// before, when the file was proven again. The partial file of a transfer has its full size from the
/// start, so that its size alone would not tell.
public struct Unflushed: Sendable {
    private struct Note: Codable {
        let path: String
        let sha256: String
        /// The run of the machine in which the file was written.
        let boot: String
    }

    /// Files of fewer bytes are written in one go, and what a power cut takes shows in their size.
    static let limit = 256 << 10
    /// Seconds after which the kernel has written by itself, so that asking for it costs nothing.
    static let settlingTime = 60

    private let folder: String

    /// The notes of a cache.
    public init(_ cache: Cache) { folder = cache.root.isEmpty ? "" : cache.root + "/unflushed" }

    /// Gives a proven file its place. Where no note of it can be kept, waits for the disk.
    public func publish(
        _ temporary: String, to path: String, sha256: String, byteCount: Int
    ) throws(FileError) {
        if byteCount >= Self.limit {
            do { try note(path, sha256) } catch { try Self.flush(temporary) }
        }
        try FileSystem.rename(temporary, to: path)
    }

    /// Settles what earlier runs noted; the paths of files that did not survive, which are removed.
    public func settle() -> [String] {
        guard !folder.isEmpty else { return [] }
        var lost: [String] = []
        for name in Files.names(in: folder) where name.hasSuffix(".json") {
            let file = "\(folder)/\(name)"
            guard let bytes = Files.read(file, limit: 1 << 16),
                let note = try? JSONDecoder().decode(Note.self, from: Data(bytes))
            else { continue }
            if note.boot == Self.boot {
                guard Self.age(of: file) >= Self.settlingTime else { continue }
                guard (try? Self.flush(note.path)) != nil || Files.size(of: note.path) == nil
                else { continue }
            } else if isWrong(note) {
                lost.append(note.path)
            }
            removeFile(file)
        }
        return lost
    }

    private func note(_ path: String, _ sha256: String) throws {
        guard !folder.isEmpty, let boot = Self.boot else { throw CacheError.noHome }
        try Files.makeFolder(folder)
        let note = Note(path: path, sha256: sha256, boot: boot)
        try Files.write(
            Array(try JSONEncoder().encode(note)),
            to: place(path))
    }

    /// A file that is removed needs no note.
    func forget(_ path: String) {
        if !folder.isEmpty { removeFile(place(path)) }
    }

    private func place(_ path: String) -> String {
        "\(folder)/\(ContentHasher.sha256(of: path)).json"
    }

    /// Whether a file is there and is not what it was; it is removed then.
    private func isWrong(_ note: Note) -> Bool {
        guard let before = StoredFile(note.path),
            let sums = try? ContentHasher.over(note.path).finalize(), sums.sha256 != note.sha256,
            // Somebody may have fetched it anew meanwhile.
            StoredFile(note.path)?.inode == before.inode
        else { return false }
        return removeFile(note.path)
    }

    /// The kernel's name for the time since the machine was started; nil where there is none.
    private static let boot: String? =
        Files.read("/proc/sys/kernel/random/boot_id", first: 36).flatMap {
            $0.count == 36 ? String(decoding: $0, as: UTF8.self) : nil
        }

    private static func age(of path: String) -> Int {
        FileSystem.find(path).map { Clock.now - $0.modified.seconds } ?? 0
    }

    private static func flush(_ path: String) throws(FileError) {
        try FileDescriptor(opening: path).synchronize()
    }
}

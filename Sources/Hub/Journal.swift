// What is known of a partial file after its writer died: which pieces arrived, and their sums.

import FoundationEssentials
import GraftCache
import GraftSystem
import GraftTensors

/// A file of lines beside the caches: what is downloaded, then `<piece> <XXH64>` for each piece that is
/// on the disk.
///
/// Lines are appended with one write each, so that a kill at any moment leaves whole lines and at most
/// one torn one, which is ignored. After a crash of the machine a line may be there whose piece is not:
/// the sums tell.
struct Journal {
    /// What the first line says.
    struct Header: Codable, Equatable {
        var version = 1
        /// The partial file.
        var partial: String
        /// The digest of the whole where one is known, else the address.
        var identity: String
        /// The strong ETag that the address answered with.
        var etag: String?
        /// The size of the whole file, as far as it is known.
        var byteCount: Int?
        /// The size of a piece; the last one may be shorter.
        var pieceSize: Int
    }

    /// A piece that arrived.
    struct Piece: Equatable {
        let index: Int
        let sum: UInt64
    }

    let path: String
    private let file: OpenFile

    /// Starts a journal, in place of an older one.
    init(starting path: String, _ header: Header) throws {
        try Files.makeFolder(path.pathParent ?? "")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try Files.write(Array(try encoder.encode(header)) + [10], to: path, durably: false)
        try self.init(continuing: path)
    }

    /// Goes on with the journal at `path`.
    init(continuing path: String) throws(FileError) {
        file = OpenFile(
            try FileDescriptor(opening: path, for: .writing, [.append, .noLink]))
        self.path = path
    }

    /// Writes down a piece. A line that cannot be written only costs a piece after a crash.
    func add(_ piece: Piece) {
        let line = "\(piece.index) \(String(piece.sum, radix: 16))\n"
        _ = file.file.writeAtOnce(Array(line.utf8))
    }

    /// What a journal says; nil where there is none that can be read.
    static func read(_ path: String) -> (header: Header, pieces: [Piece])? {
        guard let bytes = Files.read(path, limit: 1 << 28),
            let end = bytes.firstIndex(of: 10),
            let header = try? JSONDecoder().decode(Header.self, from: Data(bytes[..<end])),
            header.version == 1, header.pieceSize > 0, header.pieceSize <= 1 << 30,
            ByteCount.isSound(header.byteCount ?? 0)
        else { return nil }
        let limit = header.byteCount.map {
            $0 / header.pieceSize + ($0 % header.pieceSize == 0 ? 0 : 1)
        }
        var pieces: [Int: UInt64] = [:]
        // What follows the last line feed is a torn line.
        let whole = bytes[(end + 1)...].lastIndex(of: 10) ?? end
        for line in bytes[min(end + 1, whole)...whole].split(separator: 10) {
            let parts = line.split(separator: 32)
            guard parts.count == 2, let index = Int(String(decoding: parts[0], as: UTF8.self)),
                let sum = UInt64(String(decoding: parts[1], as: UTF8.self), radix: 16),
                index >= 0, index < limit ?? (1 << 32)
            else { continue }
            pieces[index] = sum
        }
        return (
            header,
            pieces.map { Piece(index: $0.key, sum: $0.value) }.sorted { $0.index < $1.index }
        )
    }
}

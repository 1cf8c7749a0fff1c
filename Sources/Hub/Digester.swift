// Sums a file while it arrives, on a thread of its own, behind the transfer that writes it.

import Dispatch
import GraftCache
import GraftSystem
import GraftTensors
import Synchronization

/// Reads each piece back from the page cache once it is whole: for the journal in whatever order they
/// come, for the digest in the order of the file. Memory is one piece, whatever the size of the file.
final class Digester: @unchecked Sendable {
    /// The pieces that nobody looked at yet, and whether somebody is going to.
    private let waiting = Mutex<(pieces: [Int], isSeenTo: Bool)>(([], false))
    // Everything below is touched on `queue` only.
    private let queue: DispatchQueue
    private let file: OpenFile
    private let path: String
    private let pieceSize: Int
    private var hasher: ContentHasher
    private let digest: GraftCache.Digest?
    private let byteCount: Int?
    private var journal: Journal?
    private var arrived = Extents()
    private let buffer: UnsafeMutableRawBufferPointer
    private var failure: (any Error)?

    /// Sums what is in `file`, whose digest is to be `digest`; `byteCount` where the size is known.
    init(
        file: OpenFile, path: String, pieceSize: Int, digest: GraftCache.Digest?, byteCount: Int?
    ) {
        queue = DispatchQueue(label: "graft.digest", target: .global())
        self.file = file
        self.path = path
        self.pieceSize = pieceSize
        self.digest = digest
        self.byteCount = byteCount
        hasher = ContentHasher(for: digest, byteCount: byteCount)
        let size = byteCount.map { min(max($0, 1), pieceSize) } ?? pieceSize
        buffer = .allocate(byteCount: size, alignment: 64)
    }

    deinit {
        buffer.deallocate()
    }

    /// Writes the pieces that arrive into `journal` from now on.
    func use(_ journal: Journal?) {
        queue.sync { self.journal = journal }
    }

    /// Compares the pieces that a journal tells of with the file, and hands over those that are right.
    func check(_ pieces: [Journal.Piece], _ done: @escaping @Sendable ([Range<Int>]) -> Void) {
        queue.async { [self] in
            var right: [Range<Int>] = []
            for piece in pieces {
                let range = range(of: piece.index)
                guard !range.isEmpty, let bytes = read(range), PieceSum.of(bytes) == piece.sum
                else { continue }
                right.append(range)
                arrived.insert(range)
            }
            done(right)
            seeTo()
        }
    }

    /// A piece is whole on the disk.
    func add(_ index: Int) {
        waiting.withLock { $0.pieces.append(index) }
        seeTo()
    }

    /// Forgets every byte: the transfer starts over.
    func restart() {
        waiting.withLock { $0.pieces = [] }
        // What is added from now on comes after this.
        queue.sync {
            arrived = Extents()
            hasher = ContentHasher(for: digest, byteCount: byteCount)
            failure = nil
        }
    }

    /// Sums the rest of a file that is `count` bytes long, and hands the sums over.
    func finish(
        _ count: Int, _ done: @escaping @Sendable (Result<ContentSums, any Error>) -> Void
    ) {
        queue.async { [self] in
            while hasher.byteCount < count, failure == nil {
                let end = min(count, hasher.byteCount + buffer.count)
                guard let bytes = read(hasher.byteCount..<end) else { break }
                hasher.update(bytes)
            }
            done(failure.map { .failure($0) } ?? .success(hasher.finalize()))
        }
    }

    private func range(of index: Int) -> Range<Int> {
        let (start, overflow) = index.multipliedReportingOverflow(by: pieceSize)
        guard !overflow, start < byteCount ?? .max - pieceSize else { return 0..<0 }
        return start..<min(start + pieceSize, byteCount ?? .max)
    }

    /// Has somebody look at what waits.
    private func seeTo() {
        let isNeeded = waiting.withLock { waiting in
            defer { waiting.isSeenTo = true }
            return !waiting.isSeenTo
        }
        if isNeeded { queue.async { [self] in step() } }
    }

    /// Writes down the pieces that wait, or sums a piece of what follows the front where none does: the
    /// digest may lag, but what the journal lacks after a kill is fetched again.
    private func step() {
        let pieces = waiting.withLock { waiting in
            defer { waiting.pieces = [] }
            return waiting.pieces
        }
        for index in pieces {
            let range = range(of: index)
            guard failure == nil, !range.isEmpty, let bytes = read(range) else { continue }
            journal?.add(Journal.Piece(index: index, sum: PieceSum.of(bytes)))
            arrived.insert(range)
            // The bytes are at hand, as they are where there is one connection.
            if pieces.count == 1, range.lowerBound == hasher.byteCount { hasher.update(bytes) }
        }
        let end = min(arrived.front, hasher.byteCount + buffer.count)
        let isBehind = failure == nil && hasher.byteCount < end
        if pieces.isEmpty, isBehind, let next = read(hasher.byteCount..<end) { hasher.update(next) }
        let goesOn = waiting.withLock { waiting in
            waiting.isSeenTo = isBehind || !waiting.pieces.isEmpty
            return waiting.isSeenTo
        }
        if goesOn { queue.async { [self] in step() } }
    }

    private func read(_ range: Range<Int>) -> UnsafeRawBufferPointer? {
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<range.count])
        do {
            let count = try file.file.read(into: target, at: range.lowerBound)
            guard count == range.count else { throw FileError(.read, at: path, .inputOutput) }
            return UnsafeRawBufferPointer(target)
        } catch {
            failure = error
            return nil
        }
    }
}

// Tensors into a file by several threads: one reads or converts while another writes.

import Dispatch
import GraftSystem
import Synchronization

/// A tensor, and where its first byte belongs in a file.
public struct PlacedTensor: Sendable {
    let name: String
    let tensor: LazyTensor
    let offset: Int

    /// A tensor, called `name` where it fails, that belongs at `offset`.
    public init(_ name: String, _ tensor: LazyTensor, at offset: Int) {
        self.name = name
        self.tensor = tensor
        self.offset = offset
    }
}

extension AtomicFile {
    /// Writes tensors at their places. The file's position stays where it is.
    ///
    /// - Throws: ``TensorError/notAsAnnounced`` if a tensor is not what it said it would be, and
    ///   whatever reading one throws.
    public func write(_ tensors: [PlacedTensor]) throws {
        let queue = PieceQueue(tensors)
        let byteCount = tensors.reduce(0) { $0 + $1.tensor.byteCount }
        // Starting threads takes as long as writing a megabyte.
        let threads = byteCount < 4 << 20 ? 1 : TensorPieces.threads
        if threads == 1 {
            queue.work(writingTo: self)
        } else {
            DispatchQueue.concurrentPerform(iterations: threads) { _ in
                queue.work(writingTo: self)
            }
        }
        try queue.finish()
    }
}

/// The pieces of some tensors, handed out one by one.
private final class PieceQueue: Sendable {
    private struct State {
        var next = 0
        var pieces: TensorPieces?
        var piece = 0
        var error: (any Error)?
    }

    private let tensors: [PlacedTensor]
    private let state = Mutex(State())

    init(_ tensors: [PlacedTensor]) { self.tensors = tensors }

    /// Makes and writes pieces until there are no more, or one has failed.
    func work(writingTo file: borrowing AtomicFile) {
        do {
            while let (pieces, index, offset) = try next() {
                var place = offset
                try pieces.lend(index) { bytes in
                    try file.write(bytes, at: place)
                    place += bytes.count
                }
            }
        } catch {
            state.withLock { $0.error = $0.error ?? error }
        }
    }

    func finish() throws {
        if let error = state.withLock({ $0.error }) { throw error }
    }

    /// One tensor after the other is opened, by whichever thread comes first: a reader's library may
    /// not like two threads at a time.
    private func next() throws -> (pieces: TensorPieces, index: Int, offset: Int)? {
        try state.withLock { state in
            guard state.error == nil else { return nil }
            while true {
                if let pieces = state.pieces, state.piece < pieces.count {
                    defer { state.piece += 1 }
                    let offset = tensors[state.next - 1].offset + pieces.starts[state.piece]
                    return (pieces, state.piece, offset)
                }
                state.pieces = nil
                guard state.next < tensors.count else { return nil }
                let place = tensors[state.next]
                let pieces = try place.tensor.pieces()
                guard pieces.byteCount == place.tensor.byteCount else {
                    throw TensorError.notAsAnnounced(place.name)
                }
                state.pieces = pieces
                state.piece = 0
                state.next += 1
            }
        }
    }
}

// The bytes of a tensor in pieces, so that a file of any size is written from a little memory.

import GraftSystem

/// The bytes of a tensor in pieces, which any thread can make, in any order.
struct TensorPieces: Sendable {
    /// How many bytes all pieces that are made at a time may hold.
    static let memory = 128 << 20
    /// How many threads make pieces at a time.
    static let threads = min(4, Processors.count)

    /// Where each piece starts in the bytes of the tensor, and where the last one ends.
    let starts: [Int]
    /// Lends the bytes of piece `index`, in one part or several that follow one another.
    let lend:
        @Sendable (_ index: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws -> Void

    var count: Int { starts.count - 1 }
    var byteCount: Int { starts.last ?? 0 }

    /// The same numbers as another type.
    func converted(from: DType, to: DType, count: Int) -> TensorPieces {
        let starts = starts.map { min($0 * 8 / from.bitCount, count) * to.byteCount }
        return TensorPieces(starts: starts) { index, body in
            // Small enough to stay in the processor's cache from one side to the other.
            let step = (1 << 15) * from.bitCount
            var left = (starts[index + 1] - starts[index]) / to.byteCount
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: (1 << 18) * to.byteCount, alignment: 64)
            defer { buffer.deallocate() }
            try lend(index) { bytes in
                for start in stride(from: 0, to: bytes.count, by: step) {
                    let part = bytes[start..<min(start + step, bytes.count)]
                    // An odd number of packed elements ends within a byte.
                    let numbers = min(part.count * 8 / from.bitCount, left)
                    left -= numbers
                    let target = UnsafeMutableRawBufferPointer(
                        rebasing: buffer[..<(numbers * to.byteCount)])
                    Tensor.convert(
                        UnsafeRawBufferPointer(rebasing: part), from: from, to: to, target,
                        count: numbers)
                    try body(UnsafeRawBufferPointer(target))
                }
            }
        }
    }
}

extension Tensor {
    /// The bytes as they are. What a piece has read from a mapped file is let go of with it.
    var pieces: TensorPieces {
        // Whole elements of every type, packed ones too.
        let step = (8 << 20) / 24 * 24
        let starts = Array(stride(from: 0, to: byteCount, by: step)) + [byteCount]
        return TensorPieces(starts: starts) { index, body in
            let range = (byteOffset + starts[index])..<(byteOffset + starts[index + 1])
            storage.populate(range)
            try storage.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
            storage.forget(range)
        }
    }
}

extension LazyTensor {
    /// Hands over the bytes piece by piece, in order, with little memory whatever the size.
    public func stream(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let pieces = try pieces()
        for index in 0..<pieces.count { try pieces.lend(index, body) }
    }
}

/// A tensor that cannot be used as asked.
public enum TensorError: Diagnostic, Equatable {
    /// Its numbers are not of the type and shape under which it was listed.
    case notAsAnnounced(String)

    /// What happened.
    public var message: String {
        switch self {
        case .notAsAnnounced(let name):
            "the numbers of `\(name)` are not of the type and shape under which it was listed"
        }
    }
}

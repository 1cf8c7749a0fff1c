// The memory of a plan's values: one block, in which each value has a place from the first step that
// uses it to the last.

import Glibc

/// Gives out buffers that get their place in one block when all steps are known.
final class Arena {
    private struct Piece {
        let buffer: Buffer
        /// The steps between which it is used, both included; nil if none uses it.
        var life: ClosedRange<Int>?
        var offset = 0
    }
    private var pieces: [Piece] = []
    private var indices: [ObjectIdentifier: Int] = [:]
    /// The bytes of the block once ``settle()`` has made it.
    private(set) var byteCount = 0

    /// Memory without a place yet.
    func take(_ byteCount: Int) -> Buffer {
        let buffer = Buffer(unplaced: byteCount)
        indices[ObjectIdentifier(buffer)] = pieces.count
        pieces.append(Piece(buffer: buffer))
        return buffer
    }

    /// Whether a buffer is one of these: a value, and neither a weight nor memory of a caller's.
    func holds(_ buffer: Buffer) -> Bool { indices[ObjectIdentifier(buffer)] != nil }

    /// Says that a step uses a buffer; memory of its own does not matter here.
    func use(_ buffer: Buffer, at step: Int) {
        guard let index = indices[ObjectIdentifier(buffer)] else { return }
        let life = pieces[index].life ?? step...step
        pieces[index].life = min(life.lowerBound, step)...max(life.upperBound, step)
    }

    /// Makes the block and puts every buffer into it: the large ones first, each as low as those
    /// allow that are used at the same time (greedy by size: Pisarchyk & Lee 2020,
    /// arXiv:2001.03288).
    func settle() throws(ExecutionError) {
        let order = pieces.indices.sorted {
            let (a, b) = (pieces[$0], pieces[$1])
            return a.buffer.byteCount != b.buffer.byteCount
                ? a.buffer.byteCount > b.buffer.byteCount : $0 < $1
        }
        // By offset, so that gaps are met in order.
        var placed: [Int] = []
        for index in order {
            guard let life = pieces[index].life else { continue }
            let size = Self.rounded(pieces[index].buffer.byteCount)
            var (offset, best, bestGap) = (0, Int?.none, Int.max)
            for other in placed {
                guard let theirs = pieces[other].life, theirs.overlaps(life) else { continue }
                let gap = pieces[other].offset - offset
                if gap >= size, gap < bestGap { (best, bestGap) = (offset, gap) }
                offset = max(
                    offset, pieces[other].offset + Self.rounded(pieces[other].buffer.byteCount))
            }
            pieces[index].offset = best ?? offset
            byteCount = max(byteCount, pieces[index].offset + size)
            let at = pieces[index].offset
            placed.insert(
                index, at: placed.firstIndex { pieces[$0].offset > at } ?? placed.endIndex)
        }
        let block = try Block(byteCount: byteCount)
        for piece in pieces { piece.buffer.place(in: block, at: piece.offset) }
        (pieces, indices) = ([], [:])
    }

    /// Vectors are read in whole lines, and no two values share one.
    private static func rounded(_ byteCount: Int) -> Int { (byteCount + 127) / 64 * 64 }
}

/// Memory from the system that is zero at first, in large pages where it is worth it.
final class Block {
    let pointer: UnsafeMutableRawPointer
    let byteCount: Int
    private let base: UnsafeMutableRawPointer
    private let mapped: Int

    init(byteCount: Int) throws(ExecutionError) {
        let huge = 2 << 20
        self.byteCount = max(byteCount, 64)
        let isLarge = self.byteCount >= huge
        mapped = self.byteCount + (isLarge ? 2 * huge : 4096)
        let found = mmap(
            nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let found, found != MAP_FAILED else {
            throw .memory(byteCount: byteCount)
        }
        base = found
        guard isLarge else {
            pointer = base
            return
        }
        let address = UInt(bitPattern: base)
        pointer = base + Int((address + UInt(huge) - 1) / UInt(huge) * UInt(huge) - address)
        // Fewer entries of the translation buffer, and fewer faults; a hint that may be refused.
        madvise(pointer, (self.byteCount + huge - 1) / huge * huge, 14)  // MADV_HUGEPAGE
    }

    deinit { munmap(base, mapped) }
}

// Axes in another order, from a mapped file of any size with little memory.

extension Tensor {
    /// The tensor with its axes in another order, as in NumPy's `transpose`, made dense.
    public func permuted(_ axes: [Int]) -> Tensor {
        guard axes != Array(0..<shape.rank) else { return self }
        guard !dtype.isPacked else { return converted(to: .f32).permuted(axes) }
        return permuted(axes, rows: 0..<shape[axes[0]], forgetting: false)
    }

    /// The bytes of `permuted(axes)` in pieces, each some rows of the outermost axis.
    func piecesPermuted(_ axes: [Int]) -> TensorPieces {
        guard axes != Array(0..<shape.rank), byteCount > 0 else { return permuted(axes).pieces }
        let rows = shape[axes[0]]
        let row = byteCount / rows
        // Each piece walks through the whole source: few pieces, one for each thread in memory.
        let step = max(1, TensorPieces.memory / TensorPieces.threads / row)
        let starts = Array(stride(from: 0, to: byteCount, by: step * row)) + [byteCount]
        return TensorPieces(starts: starts) { index, body in
            let range = (starts[index] / row)..<(starts[index + 1] / row)
            try permuted(axes, rows: range, forgetting: true).withBytes { try body($0) }
        }
    }

    /// Rows `rows` of the outermost axis of `permuted(axes)`. The source is read in slabs of its own
    /// outermost axis, so that a slab is in the processor's cache; what was read from a mapped file
    /// may be `forgotten`, so that no more than a slab of it is in memory.
    private func permuted(_ axes: [Int], rows: Range<Int>, forgetting: Bool) -> Tensor {
        var target = shape.permuted(axes)
        target[0] = rows.count
        let steps = { (strides: [Int]) in axes.map { strides[$0] } }(shape.strides)
        let places = target.strides
        let slabbed = axes.firstIndex(of: 0) ?? 0
        let extent = slabbed == 0 ? 1 : target[slabbed]
        let slab = slabbed == 0 ? 1 : max(1, (2 << 20) / max(byteCount / max(extent, 1), 1))
        let width = dtype.byteCount
        /// The bytes of the source from row `first` of its outermost axis on.
        func slice(_ first: Int, _ count: Int) -> Range<Int> {
            let row = byteCount / shape[0]
            return (byteOffset + first * row)..<(byteOffset + (first + count) * row)
        }
        let storage = Storage(byteCount: target.count * width) { out in
            withBytes { bytes in
                guard !bytes.isEmpty, !out.isEmpty else { return }
                for first in stride(from: 0, to: extent, by: slab) {
                    var part = target.dimensions
                    if slabbed > 0 { part[slabbed] = min(slab, extent - first) }
                    let touched =
                        slabbed > 0
                        ? slice(first, part[slabbed]) : slice(rows.lowerBound, rows.count)
                    self.storage.populate(touched)
                    let from =
                        rows.lowerBound * steps[0] + first * (slabbed > 0 ? steps[slabbed] : 0)
                    let to = first * (slabbed > 0 ? places[slabbed] : 0)
                    Copying(extents: part, steps: steps, places: places).run(
                        width, UnsafeRawBufferPointer(rebasing: bytes[(from * width)...]),
                        UnsafeMutableRawBufferPointer(rebasing: out[(to * width)...]))
                    if forgetting { self.storage.forget(touched) }
                }
            }
        }
        return Tensor(dtype, target, storage: storage)
    }
}

extension Shape {
    /// How many elements a step along each axis of a dense tensor passes.
    var strides: [Int] {
        var strides = [Int](repeating: 1, count: rank)
        for axis in stride(from: rank - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] * dimensions[axis + 1]
        }
        return strides
    }
}

/// A copy of a block of elements from one order of axes to another.
struct Copying {
    /// The extents of the block, the target's innermost axis last.
    let extents: [Int]
    /// Elements from one to the next along each axis, in the source and in the target.
    let steps: [Int]
    let places: [Int]

    func run(
        _ width: Int, _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
    ) {
        switch width {
        case 1: copy(UInt8.self, source, target)
        case 2: copy(UInt16.self, source, target)
        case 4: copy(UInt32.self, source, target)
        default: copy(UInt64.self, source, target)
        }
    }

    /// Walks all axes but two: the one that is innermost in the target, and the one that is in the
    /// source. Along those it copies tiles, so that neither side leaves the processor's cache.
    private func copy<Word: BitwiseCopyable>(
        _: Word.Type, _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
    ) {
        guard !extents.contains(0), let last = extents.indices.last else { return }
        let other =
            extents.indices.dropLast().filter { extents[$0] > 1 }.min { steps[$0] < steps[$1] }
            ?? last
        let outer = extents.indices.filter { $0 != last && $0 != other }
        let rows = other == last ? 1 : extents[other]
        let (rowStep, rowPlace) = other == last ? (0, 0) : (steps[other], places[other])
        let (count, step) = (extents[last], steps[last])
        let size = MemoryLayout<Word>.size
        let tile = 16
        var index = [Int](repeating: 0, count: outer.count)
        var from = 0
        var to = 0
        while true {
            for row in stride(from: 0, to: rows, by: tile) {
                let rowEnd = min(row + tile, rows)
                for column in stride(from: 0, to: count, by: tile) {
                    let columnEnd = min(column + tile, count)
                    for i in row..<rowEnd {
                        var read = (from + i * rowStep + column * step) * size
                        var write = (to + i * rowPlace + column) * size
                        for _ in column..<columnEnd {
                            target.storeBytes(
                                of: source.loadUnaligned(fromByteOffset: read, as: Word.self),
                                toByteOffset: write, as: Word.self)
                            read += step * size
                            write += size
                        }
                    }
                }
            }
            // Advance the odometer of the outer axes.
            var axis = outer.count - 1
            while axis >= 0 {
                index[axis] += 1
                from += steps[outer[axis]]
                to += places[outer[axis]]
                if index[axis] < extents[outer[axis]] { break }
                from -= steps[outer[axis]] * extents[outer[axis]]
                to -= places[outer[axis]] * extents[outer[axis]]
                index[axis] = 0
                axis -= 1
            }
            if axis < 0 { return }
        }
    }
}

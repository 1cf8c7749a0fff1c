// Numbers between dtypes, and axes in another order.

extension Tensor {
    /// The elements as 32-bit floats, row-major: rounded to nearest from wider types; complex
    /// numbers give their real part.
    public var floats: [Float] {
        withBytes { bytes in
            [Float](unsafeUninitializedCapacity: count) { target, initialized in
                for index in 0..<count {
                    target.initializeElement(at: index, to: dtype.loadFloat(bytes, index))
                }
                initialized = count
            }
        }
    }

    /// The same numbers as another type, rounded to nearest even.
    public func converted(to dtype: DType) -> Tensor {
        guard dtype != self.dtype else { return self }
        let storage = Storage(byteCount: count * dtype.byteCount) { target in
            withBytes { Tensor.convert($0, from: self.dtype, to: dtype, target) }
        }
        return Tensor(dtype, shape, storage: storage)
    }

    /// Lends a run of elements as another type.
    static func withConverted(
        _ piece: UnsafeRawBufferPointer, from: DType, to: DType,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let count = piece.count / from.byteCount * to.byteCount
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        defer { buffer.deallocate() }
        convert(piece, from: from, to: to, buffer)
        try body(UnsafeRawBufferPointer(buffer))
    }

    private static func convert(
        _ source: UnsafeRawBufferPointer, from: DType, to: DType,
        _ target: UnsafeMutableRawBufferPointer
    ) {
        let count = source.count / from.byteCount
        // The pairs that weights meet, as loops that a compiler can unroll.
        switch (from, to) {
        case (.f32, .f16):
            for index in 0..<count {
                let value = source.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                target.storeBytes(
                    of: DType.half(value), toByteOffset: index * 2, as: UInt16.self)
            }
        case (.f16, .f32):
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
                target.storeBytes(
                    of: DType.single(half: bits), toByteOffset: index * 4, as: Float.self)
            }
        case (.bf16, .f16):
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
                target.storeBytes(
                    of: DType.half(Float(bitPattern: UInt32(bits) << 16)),
                    toByteOffset: index * 2, as: UInt16.self)
            }
        case (.f32, .bf16):
            for index in 0..<count {
                let value = source.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                target.storeBytes(
                    of: DType.bfloat16(value), toByteOffset: index * 2, as: UInt16.self)
            }
        case (.bf16, .f32):
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
                target.storeBytes(
                    of: UInt32(bits) << 16, toByteOffset: index * 4, as: UInt32.self)
            }
        default:
            for index in 0..<count {
                if from == .f64 || to == .f64 || !from.isFloatingPoint {
                    to.store(from.loadDouble(source, index), target, index)
                } else {
                    to.store(from.loadFloat(source, index), target, index)
                }
            }
        }
    }

    /// The tensor with its axes in another order, as in NumPy's `transpose`, made dense.
    public func permuted(_ axes: [Int]) -> Tensor {
        guard axes != Array(0..<shape.rank) else { return self }
        return permuted(axes, rows: 0..<shape[axes[0]])
    }

    /// Rows `rows` of the outermost axis of `permuted(axes)`.
    func permuted(_ axes: [Int], rows: Range<Int>) -> Tensor {
        var target = shape.permuted(axes)
        target[0] = rows.count
        var strides = [Int](repeating: 1, count: shape.rank)
        for axis in stride(from: shape.rank - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] * shape[axis + 1]
        }
        let steps = axes.map { strides[$0] }
        let first = rows.lowerBound * steps[0]
        let storage = Storage(byteCount: target.count * dtype.byteCount) { out in
            withBytes { bytes in
                guard !bytes.isEmpty else { return }
                let source = UnsafeRawBufferPointer(rebasing: bytes[(first * dtype.byteCount)...])
                switch dtype.byteCount {
                case 1: gather(UInt8.self, source, out, target.dimensions, steps)
                case 2: gather(UInt16.self, source, out, target.dimensions, steps)
                case 4: gather(UInt32.self, source, out, target.dimensions, steps)
                default: gather(UInt64.self, source, out, target.dimensions, steps)
                }
            }
        }
        return Tensor(dtype, target, storage: storage)
    }
}

/// Copies `source`, walked with `steps` along `extents`, to `target` in row-major order.
private func gather<Word: BitwiseCopyable>(
    _: Word.Type, _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer,
    _ extents: [Int], _ steps: [Int]
) {
    guard !extents.contains(0), let last = extents.last, let step = steps.last else { return }
    let outer = extents.dropLast().reduce(1, *)
    let size = MemoryLayout<Word>.size
    var index = [Int](repeating: 0, count: extents.count)
    var base = 0
    var written = 0
    for _ in 0..<outer {
        var from = base
        for _ in 0..<last {
            target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: from * size, as: Word.self),
                toByteOffset: written * size, as: Word.self)
            from += step
            written += 1
        }
        // Advance the odometer of all axes but the last.
        var axis = extents.count - 2
        while axis >= 0 {
            index[axis] += 1
            base += steps[axis]
            if index[axis] < extents[axis] { break }
            base -= steps[axis] * extents[axis]
            index[axis] = 0
            axis -= 1
        }
    }
}

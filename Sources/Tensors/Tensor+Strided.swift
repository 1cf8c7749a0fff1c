// Tensors whose elements do not follow one another: views with strides, as PyTorch saves them.

extension LazyTensor {
    /// A dense copy, made when it is loaded, of the elements that lie `strides` elements apart along
    /// each axis from byte `byteOffset` of the storage on that `load` delivers.
    ///
    /// The strides are not negative, those of axes of one do not matter, and the elements lie within
    /// the storage: the caller has checked it.
    package init(
        _ dtype: DType, _ shape: Shape, strides: [Int],
        load: @escaping @Sendable () throws -> (storage: Storage, byteOffset: Int)
    ) {
        let strides = zip(shape.dimensions, strides).map { $0 == 1 ? 0 : $1 }
        // With its axes in order of their strides many a view is dense: a permuted tensor.
        let axes = shape.dimensions.indices.sorted { (strides[$0], $1) > (strides[$1], $0) }
        let base = shape.permuted(axes)
        let isDense = zip(axes, base.strides).allSatisfy {
            shape[$0.0] == 1 || strides[$0.0] == $0.1
        }
        if shape.dimensions.contains(0) || isDense {
            let places = shape.dimensions.indices.map { axis in axes.firstIndex(of: axis) ?? axis }
            self = LazyTensor(dtype, base) {
                let (storage, byteOffset) = try load()
                return Tensor(
                    dtype, base, storage: storage, byteOffset: base.count == 0 ? 0 : byteOffset)
            }.permuted(places)
            return
        }
        let view = StridedView(dtype: dtype, shape: shape, strides: strides)
        self.init(dtype, shape) {
            let (storage, byteOffset) = try load()
            return view.pieces(storage, byteOffset)
        } read: {
            let (storage, byteOffset) = try load()
            return view.rows(0..<shape[0], storage, byteOffset)
        }
    }
}

/// At least one axis, and at least one element.
private struct StridedView {
    let dtype: DType
    let shape: Shape
    let strides: [Int]

    /// Some rows of the outermost axis to a piece.
    func pieces(_ storage: Storage, _ byteOffset: Int) -> TensorPieces {
        let byteCount = shape.count * dtype.byteCount
        let row = byteCount / shape[0]
        let step = max(1, Spool.threshold / row)
        let starts = Array(stride(from: 0, to: byteCount, by: step * row)) + [byteCount]
        return TensorPieces(starts: starts) { index, body in
            let range = (starts[index] / row)..<(starts[index + 1] / row)
            try rows(range, storage, byteOffset).withBytes { try body($0) }
            storage.forget(0..<storage.byteCount)
        }
    }

    func rows(_ rows: Range<Int>, _ storage: Storage, _ byteOffset: Int) -> Tensor {
        var part = shape
        part[0] = rows.count
        let width = dtype.byteCount
        let from = byteOffset + rows.lowerBound * strides[0] * width
        let dense = Storage(byteCount: part.count * width) { target in
            storage.withBytes { bytes in
                Copying(extents: part.dimensions, steps: strides, places: part.strides).run(
                    width, UnsafeRawBufferPointer(rebasing: bytes[from...]), target)
            }
        }
        return Tensor(dtype, part, storage: dense)
    }
}

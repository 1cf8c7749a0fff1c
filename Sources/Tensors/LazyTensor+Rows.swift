// Tensors made of the rows of others.

extension LazyTensor {
    /// The rows of several tensors, one after another; nil if they differ in more than their number.
    package init?(rowsOf parts: [LazyTensor]) {
        guard let first = parts.first, first.shape.rank > 0 else { return nil }
        var rows = 0
        for part in parts {
            guard part.dtype == first.dtype, part.shape.rank == first.shape.rank,
                part.shape.dimensions.dropFirst() == first.shape.dimensions.dropFirst()
            else { return nil }
            let (sum, overflow) = rows.addingReportingOverflow(part.shape[0])
            guard !overflow else { return nil }
            rows = sum
        }
        let shape = Shape([rows] + first.shape.dimensions.dropFirst())
        guard shape.checkedCount != nil else { return nil }
        // Numbers that share a byte, or of types that are only kept, are widened first.
        self.init(.f32, shape) {
            var floats: [Float] = []
            floats.reserveCapacity(shape.count)
            for part in parts { floats += try part.converted(to: .f32).load().floats }
            return Tensor(floats, shape: shape)
        }
    }

    /// Some rows of this tensor, in single precision.
    package func rows(_ range: Range<Int>) -> LazyTensor {
        guard self.shape.rank > 0, range.lowerBound >= 0, range.upperBound <= self.shape[0] else {
            return self
        }
        let shape = Shape([range.count] + self.shape.dimensions.dropFirst())
        let row = self.shape.dimensions.dropFirst().reduce(1, *)
        let source = self
        return LazyTensor(.f32, shape) {
            let floats = try source.converted(to: .f32).load().floats
            return Tensor(
                Array(floats[range.lowerBound * row..<range.upperBound * row]), shape: shape)
        }
    }
}

// Products of matrices, in batches.

public import GraftTensors

extension Op {
    /// The product of the last two axes, as NumPy's `matmul`: the axes before them are repeated to
    /// fit, and a vector is a row on the left and a column on the right.
    public struct MatMul: OpRule {
        /// The name in files.
        public static let name = "matMul"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// Whether the last two axes of the left operand are exchanged first.
        public var transposesLeft: Bool
        /// Whether those of the right operand are.
        public var transposesRight: Bool

        /// The name in a summary.
        public var kind: String { "matmul" }
        /// A product.
        public var family: OpFamily { .product }
        /// Operands may be matrices without a batch.
        public var treatsSamplesAlone: Bool { false }

        /// A batch of matrices.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let operands = try operands(of: inputs)
            var sizes = operands.batch
            if !operands.isLeftVector { sizes.append(operands.rows) }
            if !operands.isRightVector { sizes.append(operands.columns) }
            return [ValueType(Shape(sizes), element: inputs[0].element)]
        }

        /// What is multiplied, in sizes.
        public struct Operands: Sendable, Hashable {
            /// The axes before the last two, of both together.
            public var batch: [Int]
            /// The rows of the left matrix.
            public var rows: Int
            /// The columns of the left matrix and the rows of the right one.
            public var inner: Int
            /// The columns of the right matrix.
            public var columns: Int
            /// Whether the left operand has one axis.
            public var isLeftVector: Bool
            /// Whether the right operand has one axis.
            public var isRightVector: Bool
        }

        /// The sizes of a product of values of these types.
        public func operands(of inputs: [ValueType]) throws(OpFlaw) -> Operands {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            let (a, b) = (inputs[0].shape, inputs[1].shape)
            guard a.rank > 0, b.rank > 0, a.rank > 1 || !transposesLeft,
                b.rank > 1 || !transposesRight
            else { throw .unfitProduct(a, with: b) }
            var left = a.rank == 1 ? [1, a[0]] : a.dimensions
            var right = b.rank == 1 ? [b[0], 1] : b.dimensions
            if transposesLeft { left.swapAt(left.count - 1, left.count - 2) }
            if transposesRight { right.swapAt(right.count - 1, right.count - 2) }
            guard left[left.count - 1] == right[right.count - 2],
                let batch = Shape(left.dropLast(2)).broadcast(with: Shape(right.dropLast(2)))
            else { throw .unfitProduct(a, with: b) }
            return Operands(
                batch: batch.dimensions, rows: left[left.count - 2], inner: left[left.count - 1],
                columns: right[right.count - 1], isLeftVector: a.rank == 1,
                isRightVector: b.rank == 1)
        }
    }

    /// The product of the last two axes of two values.
    public static func matMul(transposesLeft: Bool = false, transposesRight: Bool = false) -> Op {
        .matMul(MatMul(transposesLeft: transposesLeft, transposesRight: transposesRight))
    }
}

extension Shape {
    /// The shape to which both are repeated, by NumPy's rule: aligned at the last axis, axes of one
    /// element stretch. Nil if they do not fit.
    public func broadcast(with other: Shape) -> Shape? {
        let rank = Swift.max(self.rank, other.rank)
        var sizes = [Int](repeating: 1, count: rank)
        for axis in 0..<rank {
            let mine = axis < rank - self.rank ? 1 : self[axis - (rank - self.rank)]
            let theirs = axis < rank - other.rank ? 1 : other[axis - (rank - other.rank)]
            guard mine == theirs || mine == 1 || theirs == 1 else { return nil }
            sizes[axis] = mine == 1 ? theirs : mine
        }
        return Shape(sizes)
    }
}

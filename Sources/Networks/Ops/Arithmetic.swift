// Elementwise sums and products of several values.

import GraftTensors

extension Op {
    /// The elementwise sum of two or more equal shapes, or of maps and of (N, C, 1, 1).
    public struct Add: OpRule {
        /// The name in files.
        public static let name = "add"
        /// The name in a summary.
        public var kind: String { "add" }
        /// A combination.
        public var family: OpFamily { .combination }

        /// A value of the largest shape.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.broadcast())]
        }
    }

    /// The elementwise product, with the broadcast of ``Add``: squeeze-and-excite's gate.
    public struct Multiply: OpRule {
        /// The name in files.
        public static let name = "multiply"
        /// The name in a summary.
        public var kind: String { "multiply" }
        /// A combination.
        public var family: OpFamily { .combination }

        /// A value of the largest shape.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.broadcast())]
        }
    }

    /// The elementwise sum.
    public static var add: Op { .add(Add()) }

    /// The elementwise product.
    public static var multiply: Op { .multiply(Multiply()) }
}

extension [ValueType] {
    /// The largest of two or more shapes, of which the others are a part by channel.
    fileprivate func broadcast() throws(OpFlaw) -> Shape {
        guard count >= 2 else { throw .tooFewInputs(minimum: 2, found: count) }
        let shapes = map(\.shape)
        let full = shapes.max { $0.count < $1.count } ?? shapes[0]
        for shape in shapes where shape != full {
            guard full.rank == 4, shape == [full[0], full[1], 1, 1] else {
                throw .unfitBroadcast(shape, with: full)
            }
        }
        return full
    }
}

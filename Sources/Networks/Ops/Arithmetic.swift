// Elementwise sums and products of several values.

import GraftTensors

extension Op {
    /// The elementwise sum of two or more values, each repeated to fit as NumPy does.
    public struct Add: OpRule {
        /// The name in files.
        public static let name = "add"
        /// The name in a summary.
        public var kind: String { "add" }
        /// A combination.
        public var family: OpFamily { .combination }

        /// A value of the sizes of all together.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.broadcast(), element: inputs[0].element)]
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

        /// A value of the sizes of all together.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.broadcast(), element: inputs[0].element)]
        }
    }

    /// The elementwise sum.
    public static var add: Op { .add(Add()) }

    /// The elementwise product.
    public static var multiply: Op { .multiply(Multiply()) }
}

extension [ValueType] {
    /// The sizes of two or more values together, each repeated to fit as NumPy does.
    fileprivate func broadcast() throws(OpFlaw) -> Shape {
        guard count >= 2 else { throw .tooFewInputs(minimum: 2, found: count) }
        var result = self[0].shape
        for input in dropFirst() {
            guard let both = result.broadcast(with: input.shape) else {
                throw .unfitBroadcast(input.shape, with: result)
            }
            result = both
        }
        return result
    }
}

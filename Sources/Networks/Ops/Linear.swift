// A fully connected layer.

import GraftTensors

extension Op {
    /// `y = x Wᵀ + b` over the last axis: of vectors (N, C), tokens (N, T, C) or any other value.
    ///
    /// Parameters: `weight` (out, in) and, if it has one, `bias` (out).
    public struct Linear: OpRule {
        /// The name in files.
        public static let name = "linear"
        /// The width of the result.
        public var outputs: Int
        /// Whether a constant per output is added.
        public var bias: Bool

        /// The name in a summary.
        public var kind: String { "linear" }
        /// A product.
        public var family: OpFamily { .product }

        /// A value whose last axis has `outputs` numbers.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.channeled()
            guard outputs > 0 else { throw .outputCount(outputs) }
            x[x.rank - 1] = outputs
            return [ValueType(x)]
        }

        /// The matrix and the bias.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let x = try inputs.channeled()
            return [ExpectedParameter(.matrix, shape: [outputs, x[x.rank - 1]])]
                + (bias ? [ExpectedParameter(.bias, shape: [outputs])] : [])
        }
    }

    /// A fully connected layer of `outputs` numbers.
    public static func linear(outputs: Int, bias: Bool) -> Op {
        .linear(Linear(outputs: outputs, bias: bias))
    }
}

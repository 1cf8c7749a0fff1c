// Probabilities from scores, and vectors of length 1.

import GraftTensors

extension Op {
    /// `exp(x) / Σ exp(x)` over the channel axis.
    public struct Softmax: OpRule {
        /// The name in files.
        public static let name = "softmax"
        /// The name in a summary.
        public var kind: String { "softmax" }
        /// An activation.
        public var family: OpFamily { .activation }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one())]
        }
    }

    /// `x / max(‖x‖₂, 1e-12)` over the channel axis, as PyTorch's `functional.normalize`. Zeros stay
    /// zeros.
    public struct UnitNorm: OpRule {
        /// The name in files.
        public static let name = "unitNorm"
        /// The name in a summary.
        public var kind: String { "unit_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one())]
        }
    }

    /// Probabilities over the channels.
    public static var softmax: Op { .softmax(Softmax()) }

    /// Vectors of length 1.
    public static var unitNorm: Op { .unitNorm(UnitNorm()) }
}

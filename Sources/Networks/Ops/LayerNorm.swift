// Layer normalisation.

import GraftTensors

extension Op {
    /// `γ (x − μ) / √(σ² + ε) + β` over the channel axis of maps or vectors (arXiv:1607.06450).
    public struct LayerNorm: OpRule {
        /// The name in files.
        public static let name = "layerNorm"
        /// ε, added to the variance.
        public var epsilon: Float

        /// The name in a summary.
        public var kind: String { "layer_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.channeled())]
        }

        /// γ and β.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let channels: Shape = [try inputs.channeled()[1]]
            return [
                ExpectedParameter(.scale, shape: channels),
                ExpectedParameter(.shift, shape: channels),
            ]
        }
    }

    /// Layer normalisation over the channels.
    public static func layerNorm(epsilon: Float) -> Op { .layerNorm(LayerNorm(epsilon: epsilon)) }
}

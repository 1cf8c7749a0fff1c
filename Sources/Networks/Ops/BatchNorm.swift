// Batch normalisation.

import GraftTensors

extension Op {
    /// `γ (x − μ) / √(σ² + ε) + β` by channel (arXiv:1502.03167).
    ///
    /// Parameters: γ if `scale`, β if `shift`, and the buffers μ and σ². Keras' `Normalization` also
    /// keeps a count that nothing reads.
    public struct BatchNorm: OpRule {
        /// The name in files.
        public static let name = "batchNorm"
        /// ε, added to the variance.
        public var epsilon: Float
        /// The weight of the new sample in the running statistics, as PyTorch counts it.
        public var momentum: Float
        /// Whether it has γ.
        public var scale: Bool
        /// Whether it has β.
        public var shift: Bool

        /// The name in a summary.
        public var kind: String { "batch_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.channeled())]
        }

        /// γ, β, μ, σ², and perhaps a count.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let channels: Shape = [try inputs.channeled()[1]]
            return (scale ? [ExpectedParameter(.scale, shape: channels)] : [])
                + (shift ? [ExpectedParameter(.shift, shape: channels)] : [])
                + [
                    ExpectedParameter(.runningMean, shape: channels),
                    ExpectedParameter(.runningVariance, shape: channels),
                    ExpectedParameter(.count, shape: [], isOptional: true),
                ]
        }
    }

    /// Batch normalisation, with γ and β unless said otherwise.
    public static func batchNorm(
        epsilon: Float, momentum: Float, scale: Bool = true, shift: Bool = true
    ) -> Op {
        .batchNorm(BatchNorm(epsilon: epsilon, momentum: momentum, scale: scale, shift: shift))
    }
}

// Normalisation of groups of channels, and by neighbouring channels.

import GraftTensors

extension Op {
    /// `γ (x − μ) / √(σ² + ε) + β` over each group of channels of each sample (arXiv:1803.08494); one
    /// channel a group is instance normalisation (arXiv:1607.08022).
    public struct GroupNorm: OpRule {
        /// The name in files.
        public static let name = "groupNorm"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The groups of channels.
        public var groups: Int
        /// ε, added to the variance.
        public var epsilon: Float

        /// The name in a summary.
        public var kind: String { "group_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.channeled()
            guard groups > 0, x[1] % groups == 0 else {
                throw .unfitGroups(groups, inputs: x[1], outputs: x[1])
            }
            return [ValueType(x)]
        }

        /// γ and β of each channel.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let channels: Shape = [try inputs.channeled()[1]]
            return [
                ExpectedParameter(.scale, shape: channels),
                ExpectedParameter(.shift, shape: channels),
            ]
        }
    }

    /// `x / (bias + alpha / size · Σ x²)^beta`, the sum over `size` neighbouring channels, as ONNX's `LRN`
    /// (AlexNet, §3.3).
    public struct LocalResponseNorm: OpRule {
        /// The name in files.
        public static let name = "localResponseNorm"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The channels of a sum.
        public var size: Int
        /// The factor of the sum.
        public var alpha: Float
        /// The exponent.
        public var beta: Float
        /// What is added to the sum.
        public var bias: Float

        /// The name in a summary.
        public var kind: String { "local_response_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard size > 0 else { throw .unfitNeighbours(size) }
            return [ValueType(try inputs.channeled())]
        }
    }

    /// Normalisation over groups of channels.
    public static func groupNorm(groups: Int, epsilon: Float) -> Op {
        .groupNorm(GroupNorm(groups: groups, epsilon: epsilon))
    }

    /// Normalisation by the squares of neighbouring channels.
    public static func localResponseNorm(size: Int, alpha: Float, beta: Float, bias: Float) -> Op {
        .localResponseNorm(LocalResponseNorm(size: size, alpha: alpha, beta: beta, bias: bias))
    }
}

// Scales and shifts by channel.

import GraftTensors

extension Op {
    /// `scale[c] · x + shift[c]` with constants; one constant serves every channel.
    public struct Affine: OpRule {
        /// The name in files.
        public static let name = "affine"
        /// One factor, or one per channel.
        public var scale: [Float]
        /// One summand, or one per channel.
        public var shift: [Float]

        /// The name in a summary.
        public var kind: String { "affine" }
        /// A normalisation.
        public var family: OpFamily { .normalization }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            for constants in [scale, shift]
            where constants.count != 1 && (x.rank < 2 || constants.count != x[1]) {
                throw .unfitConstants(count: constants.count, x)
            }
            return [ValueType(x, element: inputs[0].element)]
        }
    }

    /// `γ[c] · x`: ConvNeXt's layer scale (arXiv:2201.03545). Parameter: γ (C).
    public struct ChannelScale: OpRule {
        /// The name in files.
        public static let name = "channelScale"
        /// The name in a summary.
        public var kind: String { "channel_scale" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.channeled(), element: inputs[0].element)]
        }

        /// γ.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            [ExpectedParameter(.scale, shape: [try inputs.channeled()[1]])]
        }
    }

    /// `scale · x + shift` with constants.
    public static func affine(scale: [Float], shift: [Float]) -> Op {
        .affine(Affine(scale: scale, shift: shift))
    }

    /// `γ[c] · x`.
    public static var channelScale: Op { .channelScale(ChannelScale()) }
}

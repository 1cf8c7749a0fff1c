// Layer normalisation.

import GraftTensors

extension Op {
    /// `γ (x − μ) / √(σ² + ε) + β` over some axes (arXiv:1607.06450).
    public struct LayerNorm: OpRule {
        /// The name in files.
        public static let name = "layerNorm"
        /// The format of the native file that can say this.
        public var formatVersion: Int { axes == [1] ? 1 : 2 }
        /// ε, added to the variance.
        public var epsilon: Float
        /// The axes that are normalised together, ascending: [1] for the channels of a map or a vector, the
        /// last one for tokens (N, T, C).
        public var axes: [Int]

        /// The name in a summary.
        public var kind: String { "layer_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            _ = try normalized(inputs)
            return [ValueType(inputs[0].shape)]
        }

        /// γ and β, of the sizes of the axes.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let shape = try normalized(inputs)
            return [
                ExpectedParameter(.scale, shape: shape), ExpectedParameter(.shift, shape: shape),
            ]
        }

        private func normalized(_ inputs: [ValueType]) throws(OpFlaw) -> Shape {
            let x = try inputs.one()
            let isAscending = zip(axes, axes.dropFirst()).allSatisfy { $0 < $1 }
            guard let first = axes.first, let last = axes.last, first >= 0, last < x.rank,
                isAscending
            else { throw .unfitAxes(axes, x) }
            return Shape(axes.map { x[$0] })
        }

        private enum CodingKeys: String, CodingKey {
            case epsilon, axes
        }

        /// An operation over the channels unless axes are given.
        public init(epsilon: Float, axes: [Int] = [1]) {
            self.epsilon = epsilon
            self.axes = axes
        }

        /// Version 1 of the native file names no axes: it has the channels only.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            epsilon = try container.decode(Float.self, forKey: .epsilon)
            axes = try container.decodeIfPresent([Int].self, forKey: .axes) ?? [1]
        }

        /// Writes what version 1 has as version 1 does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(epsilon, forKey: .epsilon)
            if axes != [1] { try container.encode(axes, forKey: .axes) }
        }
    }

    /// Layer normalisation, over the channels unless axes are given.
    public static func layerNorm(epsilon: Float, axes: [Int] = [1]) -> Op {
        .layerNorm(LayerNorm(epsilon: epsilon, axes: axes))
    }
}

// Elementwise non-linearities.

import GraftTensors

extension Op {
    /// An elementwise non-linearity.
    public struct Activate: OpRule {
        /// The name in files.
        public static let name = "activation"
        /// The format of the native file that can say this.
        public var formatVersion: Int { function == .quickGELU ? 2 : 1 }
        /// The function.
        public var function: Activation

        /// The name in a summary: that of the function.
        public var kind: String { function.rawValue }
        /// An activation.
        public var family: OpFamily { .activation }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one(), element: inputs[0].element)]
        }

        /// The names of version 1 of the native file.
        private enum CodingKeys: String, CodingKey {
            case function = "_0"
        }
    }

    /// An elementwise non-linearity.
    public static func activation(_ function: Activation) -> Op {
        .activation(Activate(function: function))
    }
}

/// The elementwise non-linearities.
public enum Activation: String, Sendable, Hashable, Codable, CaseIterable {
    /// max(x, 0).
    case relu
    /// min(max(x, 0), 6).
    case relu6
    /// 1 / (1 + e⁻ˣ).
    case sigmoid
    /// tanh x.
    case tanh
    /// x · sigmoid(x), also called SiLU.
    case swish
    /// relu6(x + 3) / 6, as PyTorch and Keras 3 have it.
    case hardSigmoid
    /// x · relu6(x + 3) / 6.
    case hardSwish
    /// x · Φ(x) with the Gaussian's own Φ.
    case gelu
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
    case geluTanh
    /// x · sigmoid(1.702 x), OpenAI's approximation of GELU.
    case quickGELU
    /// x if x > 0, else eˣ − 1.
    case elu
    /// x if x > 0, else 0.01 x (PyTorch's default slope).
    case leakyReLU
    /// eˣ.
    case exponential
    /// ln(1 + eˣ).
    case softplus
    /// x · tanh(softplus(x)) (arXiv:1908.08681).
    case mish
}

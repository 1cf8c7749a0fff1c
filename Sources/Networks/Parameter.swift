// A weight of a node: its published name, its shape and its part in the operation.

public import GraftTensors

/// A named tensor that a node needs.
public struct Parameter: Sendable, Hashable, Codable {
    /// The publisher's name, unique in the graph: `layer1.0.conv1.weight`, `conv1_conv/kernel`.
    public var name: String
    /// The shape in logical order: OIHW, (out, in) or (C).
    public var shape: Shape
    /// What the operation does with it.
    public var role: Role

    /// A parameter.
    public init(name: String, shape: Shape, role: Role) {
        self.name = name
        self.shape = shape
        self.role = role
    }

    /// What an operation does with a tensor.
    public enum Role: String, Sendable, Hashable, Codable {
        /// A convolution's kernel, OIHW.
        case kernel
        /// A depthwise convolution's kernel, (C·M)1HW.
        case depthwiseKernel
        /// A linear layer's matrix, (out, in).
        case matrix
        /// Added to the output of a convolution or a linear layer.
        case bias
        /// γ of a normalisation or of a channel scale.
        case scale
        /// β of a normalisation.
        case shift
        /// μ, kept while training: a buffer.
        case runningMean
        /// σ², kept while training: a buffer.
        case runningVariance
        /// A value by itself, which training may change: a class token, a position table, a shared matrix.
        case value
        /// A value by itself that nothing changes.
        case constant
        /// How many samples Keras' `Normalization` saw: a scalar that files hold and nothing reads.
        case count
    }

    /// The layer that publishers count it to: the name without its last part.
    public var layer: Substring {
        name.lastIndex { $0 == "/" || $0 == "." }.map { name[..<$0] } ?? name[...]
    }

    /// Whether training keeps it as a statistic and no gradient reaches it.
    public var isBuffer: Bool {
        [.runningMean, .runningVariance, .count, .constant].contains(role)
    }
}

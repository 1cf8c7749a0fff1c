// Layers that change every number by itself or by its channel, and those that move channels.

import GraftTensors

/// An elementwise non-linearity.
public func Activate(_ activation: Activation, _ name: String? = nil) -> Operation {
    Operation(.activation(activation), name)
}
/// x · relu6(x + 3) / 6.
public func HardSwish(_ name: String? = nil) -> Operation { Activate(.hardSwish, name) }
/// relu6(x + 3) / 6.
public func HardSigmoid(_ name: String? = nil) -> Operation { Activate(.hardSigmoid, name) }
/// x · Φ(x).
public func GELU(_ name: String? = nil) -> Operation { Activate(.gelu, name) }

/// Layer normalisation over the channels (arXiv:1607.06450).
public func LayerNorm2d(_ name: String, epsilon: Float = 1e-6) -> Operation {
    Operation(.layerNorm(epsilon: epsilon), name)
}
/// `scale · x + shift` with constants, one for all channels or one for each.
public func Affine(_ name: String? = nil, scale: [Float], shift: [Float]) -> Operation {
    Operation(.affine(scale: scale, shift: shift), name)
}
/// Channels `start ..< start + count`.
public func Slice(_ name: String? = nil, start: Int, count: Int) -> Operation {
    Operation(.slice(start: start, count: count), name)
}
/// Interleaves groups of channels (arXiv:1707.01083).
public func ChannelShuffle(_ name: String? = nil, groups: Int) -> Operation {
    Operation(.channelShuffle(groups: groups), name)
}
/// Zeroes whole samples of a residual branch in training; nothing at all for a rate of 0.
public func DropPath(_ name: String? = nil, rate: Float) -> any Layer {
    rate > 0 ? Operation(.dropPath(rate: rate), name) : Sequential {}
}

/// `γ[c] · x`, γ under a name of its own where the publisher's is not the layer's.
public struct ChannelScale: Layer {
    private let name: String
    private let parameter: String?

    /// A scale by channel; `parameter` is γ's name within the present scope.
    public init(_ name: String, parameter: String? = nil) {
        self.name = name
        self.parameter = parameter
    }
    /// Adds the node.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let own = parameter.map {
            [
                Parameter(
                    name: graph.qualified($0), shape: [graph.channels(of: x)], role: .scale)
            ]
        }
        return try graph.add(.channelScale, name: name, inputs: [x], parameters: own)
    }
}

/// Keras' `SeparableConv2D`: a depthwise convolution and a 1 × 1, two nodes of one layer.
public struct SeparableConv2d: Layer {
    private let name: String
    private let outputs: Int
    private let kernel: Extent
    private let stride: Extent
    private let padding: WindowPadding

    /// Both convolutions, neither with a bias.
    public init(
        _ name: String, _ outputs: Int, kernel: Extent, stride: Extent = 1,
        padding: WindowPadding = .same
    ) {
        self.name = name
        self.outputs = outputs
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
    }
    /// Adds the nodes.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let channels = graph.channels(of: x)
        let full = graph.qualified(name)
        let window = Window(kernel: kernel, stride: stride, padding: padding)
        let depthwise = try graph.add(
            .conv2d(outputs: channels, window: window, groups: channels, bias: false),
            name: name + "_depthwise", inputs: [x],
            parameters: [
                Parameter(
                    name: full + "/depthwise_kernel",
                    shape: [channels, 1, kernel.height, kernel.width], role: .depthwiseKernel)
            ])
        return try graph.add(
            .conv2d(outputs: outputs, window: Window(kernel: 1), groups: 1, bias: false),
            name: name, inputs: [depthwise],
            parameters: [
                Parameter(
                    name: full + "/pointwise_kernel", shape: [outputs, channels, 1, 1],
                    role: .kernel)
            ])
    }
}

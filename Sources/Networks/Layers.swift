// The layers that papers are made of.

/// A layer that is one operation.
public struct Operation: Layer {
    private let op: Op
    private let name: String?
    /// `op`, under the publisher's name if it has one.
    public init(_ op: Op, _ name: String? = nil) {
        self.op = op
        self.name = name
    }
    /// Adds the node.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        try graph.add(op, name: name, inputs: [x])
    }
}

/// A convolution.
public struct Conv2d: Layer {
    private let name: String
    private let outputs: Int
    private let window: Window
    private let groups: Int
    private let bias: Bool

    /// A convolution with `padding` on every side.
    public init(
        _ name: String, _ outputs: Int, kernel: Extent, stride: Extent = 1, padding: Int = 0,
        dilation: Extent = 1, groups: Int = 1, bias: Bool = false
    ) {
        self.init(
            name, outputs, kernel: kernel, stride: stride, padding: .all(padding),
            dilation: dilation, groups: groups, bias: bias)
    }
    /// A convolution with any padding.
    public init(
        _ name: String, _ outputs: Int, kernel: Extent, stride: Extent = 1, padding: WindowPadding,
        dilation: Extent = 1, groups: Int = 1, bias: Bool = false
    ) {
        self.name = name
        self.outputs = outputs
        self.window = Window(kernel: kernel, stride: stride, dilation: dilation, padding: padding)
        self.groups = groups
        self.bias = bias
    }
    /// Adds the node.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let op = Op.conv2d(outputs: outputs, window: window, groups: groups, bias: bias)
        return try graph.add(op, name: name, inputs: [x])
    }
}

/// A convolution of every channel by itself.
public struct DepthwiseConv2d: Layer {
    private let name: String
    private let window: Window
    private let bias: Bool

    /// One filter per channel.
    public init(
        _ name: String, kernel: Extent, stride: Extent = 1, padding: WindowPadding,
        bias: Bool = false
    ) {
        self.name = name
        self.window = Window(kernel: kernel, stride: stride, padding: padding)
        self.bias = bias
    }
    /// Adds the node.
    public func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let channels = graph.channels(of: x)
        let op = Op.conv2d(outputs: channels, window: window, groups: channels, bias: bias)
        return try graph.add(op, name: name, inputs: [x])
    }
}

/// Batch normalisation. `momentum` is PyTorch's: Keras' 0.99 is 0.01 here.
public func BatchNorm2d(
    _ name: String, epsilon: Float = 1e-5, momentum: Float = 0.1, scale: Bool = true,
    shift: Bool = true
) -> Operation {
    Operation(.batchNorm(epsilon: epsilon, momentum: momentum, scale: scale, shift: shift), name)
}
/// A fully connected layer.
public func Linear(_ name: String, _ outputs: Int, bias: Bool = true) -> Operation {
    Operation(.linear(outputs: outputs, bias: bias), name)
}
/// max(x, 0).
public func ReLU(_ name: String? = nil) -> Operation { Operation(.activation(.relu), name) }
/// min(max(x, 0), 6).
public func ReLU6(_ name: String? = nil) -> Operation { Operation(.activation(.relu6), name) }
/// x · sigmoid(x).
public func Swish(_ name: String? = nil) -> Operation { Operation(.activation(.swish), name) }
/// 1 / (1 + e⁻ˣ).
public func Sigmoid(_ name: String? = nil) -> Operation { Operation(.activation(.sigmoid), name) }
/// Probabilities from scores.
public func Softmax(_ name: String? = nil) -> Operation { Operation(.softmax, name) }
/// Zeroes elements in training.
public func Dropout(_ name: String? = nil, rate: Float) -> Operation {
    Operation(.dropout(rate: rate), name)
}
/// The largest value of each window.
public func MaxPool2d(
    _ name: String? = nil, kernel: Extent, stride: Extent, padding: WindowPadding = .valid,
    roundsUp: Bool = false
) -> Operation {
    Operation(
        .maxPool(Window(kernel: kernel, stride: stride, padding: padding, roundsUp: roundsUp)), name
    )
}
/// The mean of each window.
public func AveragePool2d(
    _ name: String? = nil, kernel: Extent, stride: Extent, padding: WindowPadding = .valid,
    countsPadding: Bool = false
) -> Operation {
    Operation(
        .averagePool(
            Window(kernel: kernel, stride: stride, padding: padding), countsPadding: countsPadding),
        name)
}
/// The mean of each cell of a grid over the map.
public func AdaptiveAveragePool2d(_ name: String? = nil, _ size: Extent) -> Operation {
    Operation(.adaptiveAveragePool(height: size.height, width: size.width), name)
}
/// The mean of the whole map: (N, C).
public func GlobalAveragePool(_ name: String? = nil, keepsDimensions: Bool = false) -> Operation {
    Operation(.globalAveragePool(keepsDimensions: keepsDimensions), name)
}
/// A map as vectors.
public func Flatten(_ name: String? = nil, channelsLast: Bool = false) -> Operation {
    Operation(.flatten(channelsLast: channelsLast), name)
}
/// Zeros around the map.
public func ZeroPad2d(_ name: String? = nil, _ padding: Padding) -> Operation {
    Operation(.pad(padding, value: 0), name)
}

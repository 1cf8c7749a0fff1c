// Layers with weights where Keras has a choice: separable, in groups, "dense" over every pixel.

import GraftNetworks
import GraftTensors

/// Which of Keras' layers a node is, where several compute the same and their weights have other
/// shapes: a file is loaded by the publisher's code only if it has the publisher's layers.
enum KerasKind: Sendable {
    /// A depthwise convolution is a `Conv2D` in groups, its kernel (H, W, 1, C).
    case grouped
    /// A 1 × 1 convolution is a `Dense` over the channels of each pixel, its kernel (in, out).
    case dense
    /// A linear layer is a `Conv2D` over a map of one pixel, its kernel (1, 1, in, out).
    case pixel
    /// A channel scale is ConvNeXt's own layer, γ (C).
    case layerScale
}

extension KerasBuilder {
    mutating func convolution(_ node: Node, _ x: Int, _ before: Shape, _ shape: Shape) throws
        -> Int
    {
        guard case .conv2d(let op) = node.op else {
            throw unsupported(node, "what is no convolution")
        }
        if let first = node.inputs.first, pointwise(after: first) != nil {
            return try separable(graph.nodes[first], node, x, shape)
        }
        if kind(node) == .dense, op.groups == 1, op.window == Window(kernel: 1) {
            return try dense(node, [x], shape, op.outputs, op.bias)
        }
        let (input, seen) = windowed(node, x, op.window, before)
        var config = seen
        config["use_bias"] = .bool(op.bias)
        if op.groups > 1, op.groups == before[1], kind(node) != .grouped {
            guard op.window.stride.height == op.window.stride.width else {
                throw unsupported(node, "a depthwise convolution of unequal strides")
            }
            config["depth_multiplier"] = .integer(op.outputs / op.groups)
            return layer(
                "DepthwiseConv2D", node.name, config, [input], shape, try weights(node, op.groups))
        }
        config["filters"] = .integer(op.outputs)
        config["groups"] = .integer(op.groups)
        return layer("Conv2D", node.name, config, [input], shape, try weights(node, nil))
    }

    /// What Keras says of a window, and the layer before it where its padding takes one.
    private mutating func windowed(_ node: Node, _ x: Int, _ window: Window, _ before: Shape) -> (
        input: Int, config: [String: JSONTree]
    ) {
        let (input, padding) = padded(x, window, before, node.name + "_pad")
        return (
            input,
            [
                "kernel_size": pair(window.kernel), "strides": pair(window.stride),
                "padding": .string(padding), "dilation_rate": pair(window.dilation),
                "activation": "linear", "data_format": "channels_last",
            ]
        )
    }

    /// The other half of a `SeparableConv2D` whose depthwise half is node `index`: both count their
    /// weights to one layer, and nobody else reads what is between them.
    func pointwise(after index: Int) -> Int? {
        let node = graph.nodes[index]
        guard readers[index].count == 1, index != graph.output, let next = readers[index].first,
            let input = node.inputs.first,
            case .conv2d(let depthwise) = node.op, !depthwise.bias,
            depthwise.groups == shapes[input][1],
            case .conv2d(let pointwise) = graph.nodes[next].op,
            pointwise.window == Window(kernel: 1), pointwise.groups == 1,
            depthwise.window.stride.height == depthwise.window.stride.width,
            let layer = node.parameters.first?.layer,
            layer == graph.nodes[next].parameters.first?.layer
        else { return nil }
        return next
    }

    private mutating func separable(
        _ depthwise: Node, _ pointwise: Node, _ x: Int, _ shape: Shape
    ) throws -> Int {
        guard case .conv2d(let first) = depthwise.op,
            case .conv2d(let op) = pointwise.op,
            let source = depthwise.inputs.first
        else { throw unsupported(pointwise, "half a separable convolution") }
        let (input, seen) = windowed(pointwise, x, first.window, shapes[source])
        var config = seen
        config["filters"] = .integer(op.outputs)
        config["depth_multiplier"] = .integer(first.outputs / max(first.groups, 1))
        config["use_bias"] = .bool(op.bias)
        let weights = try weights(depthwise, first.groups) + weights(pointwise, nil)
        let names = ["depthwise_kernel", "pointwise_kernel", "bias"]
        return layer(
            "SeparableConv2D", pointwise.name, config, [input], shape,
            zip(names, weights).map { (variable: $0, tensor: $1.tensor) })
    }

    mutating func dense(
        _ node: Node, _ inputs: [Int], _ shape: Shape, _ outputs: Int, _ bias: Bool
    ) throws -> Int {
        let weights = try node.parameters.map { parameter in
            let tensor = try tensor(parameter)
            if parameter.role == .bias { return (variable: "bias", tensor: tensor) }
            let matrix = tensor.reshaped([tensor.shape[0], tensor.shape[1]])
            return (variable: "kernel", tensor: matrix.permuted([1, 0]))
        }
        return layer(
            "Dense", node.name,
            ["units": .integer(outputs), "use_bias": .bool(bias), "activation": "linear"], inputs,
            shape, weights)
    }

    /// A linear layer as a convolution over a map of one pixel.
    mutating func pixel(
        _ node: Node, _ inputs: [Int], _ shape: Shape, _ outputs: Int, _ bias: Bool
    ) throws -> Int {
        guard let source = node.inputs.first else { throw unsupported(node, "no input") }
        let channels = shapes[source][1]
        let map = layer(
            "Reshape", node.name + "_map", ["target_shape": [1, 1, .integer(channels)]], inputs,
            [1, channels, 1, 1])
        let weights = try weights(node, nil).map { variable, tensor in
            guard tensor.shape.rank == 2 else { return (variable: variable, tensor: tensor) }
            return (
                variable: variable,
                tensor: tensor.reshaped([1, 1, tensor.shape[0], tensor.shape[1]])
            )
        }
        let config: [String: JSONTree] = [
            "filters": .integer(outputs), "kernel_size": [1, 1], "padding": "valid",
            "use_bias": .bool(bias), "activation": "linear", "data_format": "channels_last",
        ]
        let scores = layer("Conv2D", node.name, config, [map], [1, outputs, 1, 1], weights)
        return layer("Flatten", node.name + "_flatten", [:], [scores], shape)
    }

    mutating func channelScale(_ node: Node, _ inputs: [Int], _ shape: Shape) throws -> Int {
        guard shape.rank == 4, let parameter = node.parameters.first else {
            throw unsupported(node, "a scale of vectors")
        }
        let gamma = try tensor(parameter)
        if kind(node) == .layerScale {
            return layer(
                "LayerScale", node.name,
                ["init_values": .number(1e-6), "projection_dim": .integer(shape[1])], inputs,
                shape, [("gamma", gamma)])
        }
        // A depthwise 1 × 1 convolution multiplies each channel.
        return layer(
            "DepthwiseConv2D", node.name,
            ["kernel_size": [1, 1], "use_bias": false, "padding": "valid"], inputs, shape,
            [("kernel", gamma.reshaped([1, 1, shape[1], 1]))])
    }
}

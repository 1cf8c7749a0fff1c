// What Keras says in several layers, or in other words: padding, pools, weights and activations.

import GraftNetworks
import GraftTensors
import OrderedCollections

extension KerasBuilder {
    /// Keras cuts the border off by "valid" and a layer of its own where the paper's padding is
    /// another.
    mutating func transposed(
        _ node: Node, _ x: Int, _ shape: Shape, _ outputs: Int, _ window: Window, _ extra: Extent,
        _ groups: Int, _ bias: Bool
    ) throws -> Int {
        guard groups == 1, case .explicit(let padding) = window.padding else {
            throw unsupported(node, "a transposed convolution in groups")
        }
        var whole = shape
        whole[2] += padding.top + padding.bottom
        whole[3] += padding.left + padding.right
        var config: [String: JSONTree] = [
            "filters": .integer(outputs), "kernel_size": pair(window.kernel),
            "strides": pair(window.stride), "padding": "valid",
            "dilation_rate": pair(window.dilation), "use_bias": .bool(bias),
            "activation": "linear", "data_format": "channels_last",
        ]
        // Without the setting, Keras widens the output of kernels that are smaller than the step.
        func span(_ axis: KeyPath<Extent, Int>) -> Int {
            window.dilation[keyPath: axis] * (window.kernel[keyPath: axis] - 1) + 1
        }
        let usual = Extent(
            max(window.stride.height - span(\.height), 0),
            max(window.stride.width - span(\.width), 0))
        if extra != usual { config["output_padding"] = pair(extra) }
        let y = layer(
            "Conv2DTranspose", node.name, config, [x], whole, try weights(node, nil))
        guard whole != shape else { return y }
        return layer(
            "Cropping2D", node.name + "_crop",
            [
                "cropping": [
                    [.integer(padding.top), .integer(padding.bottom)],
                    [.integer(padding.left), .integer(padding.right)],
                ]
            ], [y], shape)
    }

    func tensor(_ parameter: Parameter) throws -> LazyTensor {
        guard let tensor = state[parameter.name] else {
            throw NetworkError.invalidGraph("its weight `\(parameter.name)` is missing")
        }
        return tensor
    }

    /// The variables of a node with Keras' names and axes.
    func weights(_ node: Node, _ groups: Int?) throws -> [(
        variable: String, tensor: LazyTensor
    )] {
        // A count of samples has no place in a BatchNormalization.
        try node.parameters.filter { $0.role != .count }.map { parameter in
            let tensor = try tensor(parameter)
            switch parameter.role {
            case .kernel, .depthwiseKernel:
                guard let groups else { return ("kernel", tensor.permuted([2, 3, 1, 0])) }
                let shape = tensor.shape
                let split = tensor.reshaped([groups, shape[0] / groups, shape[2], shape[3]])
                return ("kernel", split.permuted([2, 3, 0, 1]))
            case .matrix: return ("kernel", tensor.permuted([1, 0]))
            case .bias: return ("bias", tensor)
            case .scale: return ("gamma", tensor)
            case .shift: return ("beta", tensor)
            case .runningMean: return ("moving_mean", tensor)
            case .runningVariance: return ("moving_variance", tensor)
            case .count: return ("count", tensor)
            }
        }
    }

    mutating func activation(
        _ activation: Activation, _ node: Node, _ inputs: [Int], _ shape: Shape
    ) -> Int {
        let name: String
        switch activation {
        case .relu6: return layer("ReLU", node.name, ["max_value": 6], inputs, shape)
        case .leakyReLU:
            return layer("LeakyReLU", node.name, ["negative_slope": .number(0.01)], inputs, shape)
        case .geluTanh:
            // `Activation("gelu")` is the exact one.
            let scaled: JSONTree = [
                "module": "keras.activations", "class_name": "function", "config": "gelu_tanh",
                "registered_name": "gelu_tanh",
            ]
            return layer("Activation", node.name, ["activation": scaled], inputs, shape)
        case .relu: name = "relu"
        case .sigmoid: name = "sigmoid"
        case .tanh: name = "tanh"
        case .swish: name = "silu"
        case .hardSigmoid: name = "hard_sigmoid"
        case .hardSwish: name = "hard_silu"
        case .gelu: name = "gelu"
        case .elu: name = "elu"
        case .exponential: name = "exponential"
        case .softplus: name = "softplus"
        case .mish: name = "mish"
        }
        return layer("Activation", node.name, ["activation": .string(name)], inputs, shape)
    }

    /// Keras crops rows and columns: the channels become rows for it.
    mutating func slice(
        _ node: Node, _ x: Int, _ before: Shape, _ shape: Shape, start: Int, count: Int
    ) throws -> Int {
        guard before.rank == 4 else { throw unsupported(node, "a part of a vector") }
        let (c, h, w) = (before[1], before[2], before[3])
        let turned = layer(
            "Permute", node.name + "_permute", ["dims": [3, 1, 2]], [x], [before[0], w, c, h])
        let cut = layer(
            "Cropping2D", node.name + "_crop",
            [
                "cropping": [[.integer(start), .integer(c - start - count)], [0, 0]],
                "data_format": "channels_last",
            ], [turned], [before[0], w, count, h])
        return layer("Permute", node.name, ["dims": [2, 3, 1]], [cut], shape)
    }

    mutating func permuted(_ x: Int, _ name: String, _ order: [Int], _ shape: Shape) -> Int {
        layer(
            "Permute", name + "_permute", ["dims": .array(order.map { .integer($0) })], [x], shape)
    }

    /// What Keras can say of a window's padding: a layer before it for amounts, a word for SAME.
    mutating func padded(_ x: Int, _ window: Window, _ shape: Shape, _ name: String) -> (
        Int, String
    ) {
        switch window.padding {
        case .same: return (x, "same")
        case .zeroSame:
            let padding = window.resolvedPadding(height: shape[2], width: shape[3])
            return (zeroPad(padding, x, name, shape), "valid")
        case .explicit(let padding) where padding == .zero: return (x, "valid")
        case .explicit(let padding):
            if window.stride == 1, isSame(padding, window) { return (x, "same") }
            return (zeroPad(padding, x, name, shape), "valid")
        }
    }

    /// At stride 1 a symmetric padding of half the window is TensorFlow's SAME.
    func isSame(_ padding: Padding, _ window: Window) -> Bool {
        let span = Extent(
            window.dilation.height * (window.kernel.height - 1),
            window.dilation.width * (window.kernel.width - 1))
        return padding.top == padding.bottom && padding.left == padding.right
            && padding.top * 2 == span.height && padding.left * 2 == span.width
    }

    mutating func zeroPad(_ padding: Padding, _ x: Int, _ name: String, _ shape: Shape)
        -> Int
    {
        var shape = shape
        shape[2] += padding.top + padding.bottom
        shape[3] += padding.left + padding.right
        return layer(
            "ZeroPadding2D", name,
            [
                "padding": [
                    [.integer(padding.top), .integer(padding.bottom)],
                    [.integer(padding.left), .integer(padding.right)],
                ], "data_format": "channels_last",
            ], [x], shape)
    }

    mutating func pad(
        _ padding: Padding, _ x: Int, _ node: Node, _ before: Shape, _ shape: Shape
    ) -> Int {
        let amounts = [padding.top, padding.bottom, padding.left, padding.right]
        if amounts.allSatisfy({ $0 >= 0 }) { return zeroPad(padding, x, node.name, before) }
        var x = x
        if amounts.contains(where: { $0 > 0 }) {
            let added = Padding(
                top: max(padding.top, 0), left: max(padding.left, 0),
                bottom: max(padding.bottom, 0), right: max(padding.right, 0))
            x = zeroPad(added, x, node.name + "_pad", before)
        }
        return layer(
            "Cropping2D", node.name,
            [
                "cropping": [
                    [.integer(max(-padding.top, 0)), .integer(max(-padding.bottom, 0))],
                    [.integer(max(-padding.left, 0)), .integer(max(-padding.right, 0))],
                ], "data_format": "channels_last",
            ], [x], shape)
    }

    mutating func pool(
        _ kind: String, _ node: Node, _ window: Window, _ x: Int, _ before: Shape, _ shape: Shape,
        counts: Bool
    ) throws -> Int {
        var config: [String: JSONTree] = [
            "pool_size": pair(window.kernel), "strides": pair(window.stride),
            "data_format": "channels_last",
        ]
        guard window.dilation == 1 else { throw unsupported(node, "a dilated pool") }
        var x = x
        var padding = window.resolvedPadding(height: before[2], width: before[3])
        let amounts = [padding.top, padding.bottom, padding.left, padding.right]
        if case .same = window.padding, kind == "MaxPooling2D" || !counts {
            config["padding"] = "same"
        } else if window.roundsUp || amounts != [0, 0, 0, 0] {
            // Whole windows: what `ceil_mode` adds is padding at the end.
            func missing(_ size: Int, _ out: Int, _ kernel: Int, _ stride: Int) -> Int {
                max(0, (out - 1) * stride + kernel - size)
            }
            let height = before[2] + padding.top + padding.bottom
            let width = before[3] + padding.left + padding.right
            let more = Extent(
                missing(height, shape[2], window.kernel.height, window.stride.height),
                missing(width, shape[3], window.kernel.width, window.stride.width))
            let isZeros =
                if case .zeroSame = window.padding { true } else if kind == "MaxPooling2D" {
                    isNonNegative(node.inputs[0])
                } else { counts && more == Extent(0) }
            guard isZeros else {
                throw unsupported(node, "a pool whose padding is not zeros")
            }
            padding.bottom += more.height
            padding.right += more.width
            if padding != .zero { x = zeroPad(padding, x, node.name + "_pad", before) }
            config["padding"] = "valid"
        } else {
            config["padding"] = "valid"
        }
        return layer(kind, node.name, config, [x], shape)
    }

    /// Whether a value is known to be ≥ 0: then zeros never win a maximum that −∞ would lose.
    func isNonNegative(_ index: Int) -> Bool {
        let node = graph.nodes[index]
        return switch node.op {
        case .activation(let op):
            op.function == .relu || op.function == .relu6 || op.function == .sigmoid
                || op.function == .hardSigmoid
        case .maxPool, .averagePool, .concatenate, .add, .dropout, .pad, .slice, .channelShuffle:
            node.inputs.allSatisfy { isNonNegative($0) }
        case .softmax: true
        default: false
        }
    }
}

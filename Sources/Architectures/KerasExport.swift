// Graph -> Keras: the layers, configuration and weights that `keras.models.load_model` expects.

import FoundationEssentials
public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// A network as Keras 3 writes it down.
public struct KerasExport: Sendable {
    /// A layer of `model.layers`, in that order.
    public struct Layer: Sendable {
        /// The layer's name.
        public let name: String
        /// Its class in snake case: `conv2d`.
        public let className: String
        /// Its variables in Keras' order, with Keras' axes.
        public let weights: [(variable: String, tensor: LazyTensor)]
    }

    /// The JSON of the whole model.
    public let config: String
    /// All layers, those without weights too.
    public let layers: [Layer]

    /// Writes `graph` and its bound `weights` for images of height and width `input`.
    public init(_ graph: Graph, weights: StateDict, input: Extent) throws {
        var builder = try KerasBuilder(graph, weights, input)
        for index in graph.nodes.indices { try builder.add(index) }
        let order = Graph.kerasOrder(
            builder.layers.map(\.inputs), output: builder.place[graph.output])
        let layers = order.map { builder.layers[$0] }
        config = try builder.config(layers).text()
        self.layers = layers.map {
            Layer(name: $0.name, className: KerasExport.snake($0.kind), weights: $0.weights)
        }
    }

    /// `BatchNormalization` is `batch_normalization`, `Conv2D` is `conv2d`.
    static func snake(_ name: String) -> String {
        let scalars = Array(name)
        var result = ""
        for (index, character) in scalars.enumerated() {
            let previous = index > 0 ? scalars[index - 1] : " "
            let next = index + 1 < scalars.count ? scalars[index + 1] : " "
            // Keras: a capital before a small letter, or after a small letter or a digit… but not
            // the D of `2D`.
            if character.isUppercase, index > 0,
                next.isLowercase || (previous.isLowercase && !previous.isNumber)
            {
                result += "_"
            }
            result += character.lowercased()
        }
        return result
    }
}

/// One Keras layer under way.
struct KerasNode {
    let name: String
    let kind: String
    let config: JSONTree
    let inputs: [Int]
    let shape: Shape
    let weights: [(variable: String, tensor: LazyTensor)]
}

/// Turns nodes into layers; some become several.
struct KerasBuilder {
    private(set) var layers: [KerasNode] = []
    /// The layer that holds the value of each node.
    private(set) var place: [Int] = []
    private let graph: Graph
    private let state: StateDict
    private let shapes: [Shape]
    private var names: Set<String> = []

    init(_ graph: Graph, _ state: StateDict, _ input: Extent) throws {
        self.graph = graph
        self.state = state
        guard case .input(let channels) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        shapes = try graph.shapes(input: [1, channels, input.height, input.width])
    }

    /// Adds a layer; `shape` is logical (N, C, H, W) or (N, C).
    private mutating func layer(
        _ kind: String, _ name: String, _ config: [String: JSONTree], _ inputs: [Int],
        _ shape: Shape, _ weights: [(variable: String, tensor: LazyTensor)] = []
    ) -> Int {
        let base = name.replacing("/", with: "_")
        var unique = base
        var number = 1
        while !names.insert(unique).inserted {
            unique = "\(base)_\(number)"
            number += 1
        }
        var config = config
        config["name"] = .string(unique)
        if kind != "InputLayer" { config["trainable"] = true }
        config["dtype"] = "float32"
        layers.append(
            KerasNode(
                name: unique, kind: kind, config: .object(config), inputs: inputs, shape: shape,
                weights: weights))
        return layers.count - 1
    }

    private func pair(_ extent: Extent) -> JSONTree {
        [.integer(extent.height), .integer(extent.width)]
    }

    /// Keras cuts the border off by "valid" and a layer of its own where the paper's padding is
    /// another.
    private mutating func transposed(
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

    private func unsupported(_ node: Node, _ what: String) -> NetworkError {
        .invalidNode(node.name, reason: "Keras has no layer for \(what)")
    }

    mutating func add(_ index: Int) throws {
        let node = graph.nodes[index]
        let inputs = node.inputs.map { place[$0] }
        place.append(try layers(for: node, inputs, shapes[index]))
    }

    private mutating func layers(for node: Node, _ inputs: [Int], _ shape: Shape) throws -> Int {
        let x = inputs.first ?? 0
        let before = node.inputs.first.map { shapes[$0] } ?? shape
        func simple(_ kind: String, _ config: [String: JSONTree] = [:]) -> Int {
            layer(kind, node.name, config, inputs, shape)
        }
        switch node.op {
        case .input:
            let dimensions = [.null] + [shape[2], shape[3], shape[1]].map { JSONTree.integer($0) }
            return layer(
                "InputLayer", node.name,
                ["batch_shape": .array(dimensions), "sparse": false, "ragged": false], [], shape)
        case .conv2d(let outputs, let window, let groups, let bias):
            let (x, padding) = padded(x, window, before, node.name + "_pad")
            var config: [String: JSONTree] = [
                "kernel_size": pair(window.kernel), "strides": pair(window.stride),
                "padding": .string(padding), "dilation_rate": pair(window.dilation),
                "use_bias": .bool(bias), "activation": "linear",
                "data_format": "channels_last",
            ]
            if groups > 1, groups == before[1] {
                guard window.stride.height == window.stride.width else {
                    throw unsupported(node, "a depthwise convolution of unequal strides")
                }
                config["depth_multiplier"] = .integer(outputs / groups)
                return layer(
                    "DepthwiseConv2D", node.name, config, [x], shape, try weights(node, groups))
            }
            config["filters"] = .integer(outputs)
            config["groups"] = .integer(groups)
            return layer("Conv2D", node.name, config, [x], shape, try weights(node, nil))
        case .convTranspose2d(let outputs, let window, let extra, let groups, let bias):
            return try transposed(node, x, shape, outputs, window, extra, groups, bias)
        case .batchNorm(let epsilon, let momentum, let scale, let shift):
            let config: [String: JSONTree] = [
                "axis": -1, "momentum": .number(1 - Double(momentum)),
                "epsilon": .number(Double("\(epsilon)") ?? Double(epsilon)),
                "scale": .bool(scale), "center": .bool(shift),
            ]
            return layer(
                "BatchNormalization", node.name, config, inputs, shape, try weights(node, nil))
        case .layerNorm(let epsilon):
            return layer(
                "LayerNormalization", node.name,
                ["axis": -1, "epsilon": .number(Double("\(epsilon)") ?? Double(epsilon))], inputs,
                shape, try weights(node, nil))
        case .linear(let outputs, let bias):
            return layer(
                "Dense", node.name,
                ["units": .integer(outputs), "use_bias": .bool(bias), "activation": "linear"],
                inputs, shape, try weights(node, nil))
        case .activation(let activation): return self.activation(activation, node, inputs, shape)
        case .softmax: return simple("Softmax", ["axis": -1])
        case .maxPool(let window):
            return try pool("MaxPooling2D", node, window, x, before, shape, counts: true)
        case .averagePool(let window, let counts):
            return try pool("AveragePooling2D", node, window, x, before, shape, counts: counts)
        case .globalAveragePool(let keeps):
            return simple("GlobalAveragePooling2D", ["keepdims": .bool(keeps)])
        case .globalMaxPool(let keeps):
            return simple("GlobalMaxPooling2D", ["keepdims": .bool(keeps)])
        case .adaptiveAveragePool(let height, let width):
            if before[2] == height, before[3] == width { return x }
            guard before[2] % height == 0, before[3] % width == 0 else {
                throw unsupported(node, "pooling \(before) to \(height) × \(width)")
            }
            let size = Extent(before[2] / height, before[3] / width)
            return simple(
                "AveragePooling2D",
                ["pool_size": pair(size), "strides": pair(size), "padding": "valid"])
        case .add, .multiply: return simple(node.op == .add ? "Add" : "Multiply")
        case .concatenate: return simple("Concatenate", ["axis": -1])
        case .slice: throw unsupported(node, "a part of the channels")
        case .flatten(let channelsLast):
            let ordered = channelsLast ? x : permuted(x, node.name, [3, 1, 2], before)
            return layer("Flatten", node.name, [:], [ordered], shape)
        case .reshape(let channels, let height, let width, let channelsLast):
            let sizes = channelsLast ? [height, width, channels] : [channels, height, width]
            let target: [String: JSONTree] = [
                "target_shape": .array(sizes.map { .integer($0) })
            ]
            let reshaped = layer("Reshape", node.name, target, inputs, shape)
            return channelsLast ? reshaped : permuted(reshaped, node.name, [2, 3, 1], shape)
        case .pad(let padding, let value):
            guard value == 0 else { throw unsupported(node, "padding with \(value)") }
            return try pad(padding, x, node, before, shape)
        case .upsample(let height, let width, let bilinear):
            return simple(
                "UpSampling2D",
                [
                    "size": pair(Extent(height, width)),
                    "interpolation": bilinear ? "bilinear" : "nearest",
                ])
        case .channelShuffle(let groups):
            let (c, h, w) = (shape[1], shape[2], shape[3])
            let split = layer(
                "Reshape", node.name + "_split",
                ["target_shape": .array([h, w, groups, c / groups].map { .integer($0) })], [x],
                shape)
            let turned = layer(
                "Permute", node.name + "_permute", ["dims": [1, 2, 4, 3]], [split], shape)
            return layer(
                "Reshape", node.name,
                ["target_shape": .array([h, w, c].map { .integer($0) })], [turned], shape)
        case .affine(let scale, let shift):
            func constants(_ values: [Float]) -> JSONTree {
                let numbers = values.map { JSONTree.number(Double($0)) }
                return numbers.count == 1 ? numbers[0] : .array(numbers)
            }
            return simple("Rescaling", ["scale": constants(scale), "offset": constants(shift)])
        case .channelScale:
            guard shape.rank == 4 else { throw unsupported(node, "a scale of vectors") }
            // A depthwise 1 × 1 convolution multiplies each channel.
            let gamma = try tensor(node.parameters[0]).reshaped([1, 1, shape[1], 1])
            return layer(
                "DepthwiseConv2D", node.name,
                ["kernel_size": [1, 1], "use_bias": false, "padding": "valid"], inputs, shape,
                [("kernel", gamma)])
        case .dropout(let rate): return simple("Dropout", ["rate": .number(Double(rate))])
        case .dropPath(let rate):
            return simple(
                "Dropout", ["rate": .number(Double(rate)), "noise_shape": [nil, 1, 1, 1]])
        }
    }
}

extension KerasBuilder {
    private func tensor(_ parameter: Parameter) throws -> LazyTensor {
        guard let tensor = state[parameter.name] else {
            throw NetworkError.invalidGraph("its weight `\(parameter.name)` is missing")
        }
        return tensor
    }

    /// The variables of a node with Keras' names and axes.
    private func weights(_ node: Node, _ groups: Int?) throws -> [(
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

    private mutating func activation(
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
        }
        return layer("Activation", node.name, ["activation": .string(name)], inputs, shape)
    }

    private mutating func permuted(_ x: Int, _ name: String, _ order: [Int], _ shape: Shape) -> Int
    {
        layer(
            "Permute", name + "_permute", ["dims": .array(order.map { .integer($0) })], [x], shape)
    }

    /// What Keras can say of a window's padding: a layer before it for amounts, a word for SAME.
    private mutating func padded(_ x: Int, _ window: Window, _ shape: Shape, _ name: String) -> (
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
    private func isSame(_ padding: Padding, _ window: Window) -> Bool {
        let span = Extent(
            window.dilation.height * (window.kernel.height - 1),
            window.dilation.width * (window.kernel.width - 1))
        return padding.top == padding.bottom && padding.left == padding.right
            && padding.top * 2 == span.height && padding.left * 2 == span.width
    }

    private mutating func zeroPad(_ padding: Padding, _ x: Int, _ name: String, _ shape: Shape)
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

    private mutating func pad(
        _ padding: Padding, _ x: Int, _ node: Node, _ before: Shape, _ shape: Shape
    ) throws -> Int {
        let amounts = [padding.top, padding.bottom, padding.left, padding.right]
        if amounts.allSatisfy({ $0 >= 0 }) { return zeroPad(padding, x, node.name, before) }
        guard amounts.allSatisfy({ $0 <= 0 }) else {
            throw unsupported(node, "padding and cropping at once")
        }
        return layer(
            "Cropping2D", node.name,
            [
                "cropping": [
                    [.integer(-padding.top), .integer(-padding.bottom)],
                    [.integer(-padding.left), .integer(-padding.right)],
                ], "data_format": "channels_last",
            ], [x], shape)
    }

    private mutating func pool(
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
            guard
                kind == "MaxPooling2D" ? isNonNegative(node.inputs[0]) : counts && more == Extent(0)
            else {
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
    private func isNonNegative(_ index: Int) -> Bool {
        let node = graph.nodes[index]
        return switch node.op {
        case .activation(let it):
            it == .relu || it == .relu6 || it == .sigmoid || it == .hardSigmoid
        case .maxPool, .averagePool, .concatenate, .add, .dropout, .pad, .slice, .channelShuffle:
            node.inputs.allSatisfy { isNonNegative($0) }
        case .softmax: true
        default: false
        }
    }

    /// The JSON of `keras.src.models.functional.Functional`.
    func config(_ ordered: [KerasNode]) throws -> JSONTree {
        func shape(_ shape: Shape) -> JSONTree {
            let sizes = shape.rank == 4 ? [shape[2], shape[3], shape[1]] : [shape[1]]
            return .array([.null] + sizes.map { .integer($0) })
        }
        func reference(_ index: Int) -> JSONTree {
            [
                "class_name": "__keras_tensor__",
                "config": [
                    "shape": shape(layers[index].shape), "dtype": "float32",
                    "keras_history": [.string(layers[index].name), 0, 0],
                ],
            ]
        }
        let merges = ["Add", "Multiply", "Concatenate"]
        let described = ordered.map { node -> JSONTree in
            let references = node.inputs.map(reference)
            let arguments: JSONTree =
                merges.contains(node.kind) ? [.array(references)] : .array(references)
            return [
                "module": "keras.layers", "class_name": .string(node.kind), "config": node.config,
                "registered_name": nil, "name": .string(node.name),
                "inbound_nodes": node.inputs.isEmpty ? [] : [["args": arguments, "kwargs": [:]]],
            ]
        }
        let name = graph.name.map { $0.isLetter || $0.isNumber ? $0 : "_" }
        return [
            "module": "keras.src.models.functional", "class_name": "Functional",
            "registered_name": "Functional",
            "config": [
                "name": .string(String(name)), "trainable": true, "layers": .array(described),
                "input_layers": [[.string(layers[place[0]].name), 0, 0]],
                "output_layers": [[.string(layers[place[graph.output]].name), 0, 0]],
            ],
        ]
    }
}

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
        /// The layers of a nested model.
        public let inner: [Layer]

        init(_ node: KerasNode) {
            name = node.name
            className = KerasExport.snake(node.kind)
            weights = node.weights
            inner = node.inner.map { Layer($0) }
        }
    }

    /// The JSON of the whole model.
    public let config: String
    /// All layers, those without weights too.
    public let layers: [Layer]

    /// Writes `graph` and its bound `weights` for images of height and width `input`.
    public init(_ graph: Graph, weights: StateDict, input: Extent) throws {
        var builder = try KerasBuilder(graph, weights, input)
        for index in graph.nodes.indices { try builder.add(index) }
        builder.nest()
        let order = Graph.kerasOrder(
            builder.layers.map(\.inputs), output: builder.place[graph.output])
        let layers = order.map { builder.layers[$0] }
        config = try builder.config(layers).text()
        self.layers = layers.map { Layer($0) }
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
    var inputs: [Int]
    var shape: Shape
    let weights: [(variable: String, tensor: LazyTensor)]
    /// The layers of a `Sequential`.
    var inner: [KerasNode] = []
}

/// Turns nodes into layers; some become several, and some two become one.
struct KerasBuilder {
    var layers: [KerasNode] = []
    /// The layer that holds the value of each node.
    var place: [Int] = []
    let graph: Graph
    let state: StateDict
    let shapes: [Shape]
    /// What Keras' own network has where several layers compute the same.
    let blueprint: (any Blueprint)?
    /// The nodes that read each node.
    let readers: [[Int]]
    private var names: Set<String> = []

    init(_ graph: Graph, _ state: StateDict, _ input: Extent) throws {
        self.graph = graph
        self.state = state
        guard case .input(let images) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        shapes = try graph.shapes(input: [1, images.channels, input.height, input.width])
        blueprint = graph.naming == .keras ? (try? Architectures.named(graph.name))?.blueprint : nil
        var readers = [[Int]](repeating: [], count: graph.nodes.count)
        for (index, node) in graph.nodes.enumerated() {
            for input in node.inputs { readers[input].append(index) }
        }
        self.readers = readers
    }

    /// Which of Keras' layers a node is, where the network's publisher has another than usual.
    func kind(_ node: Node) -> KerasKind? { blueprint?.kerasKind(of: node.name) }

    /// Adds a layer; `shape` is logical (N, C, H, W) or (N, C).
    mutating func layer(
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

    func pair(_ extent: Extent) -> JSONTree {
        [.integer(extent.height), .integer(extent.width)]
    }

    func unsupported(_ node: Node, _ what: String) -> NetworkError {
        .invalidNode(node.name, reason: "Keras has no layer for \(what)")
    }

    mutating func add(_ index: Int) throws {
        let node = graph.nodes[index]
        let inputs = node.inputs.map { place[$0] }
        if let input = inputs.first, pointwise(after: index) != nil {
            place.append(input)  // The layer is written where the second half stands.
            return
        }
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
        case .conv2d: return try convolution(node, x, before, shape)
        case .convTranspose2d(let op):
            return try transposed(
                node, x, shape, op.outputs, op.window, op.outputPadding, op.groups, op.bias)
        case .batchNorm(let op):
            if node.parameters.map(\.role) == [.runningMean, .runningVariance, .count] {
                let statistics = try zip(["mean", "variance", "count"], node.parameters).map {
                    (variable: $0, tensor: try tensor($1))
                }
                return layer(
                    "Normalization", node.name,
                    ["axis": -1, "mean": nil, "variance": nil, "invert": false], inputs, shape,
                    statistics)
            }
            let config: [String: JSONTree] = [
                "axis": -1, "momentum": .number(1 - Double(op.momentum)),
                "epsilon": .number(Double("\(op.epsilon)") ?? Double(op.epsilon)),
                "scale": .bool(op.scale), "center": .bool(op.shift),
            ]
            return layer(
                "BatchNormalization", node.name, config, inputs, shape, try weights(node, nil))
        case .layerNorm(let op):
            return layer(
                "LayerNormalization", node.name,
                ["axis": -1, "epsilon": .number(Double("\(op.epsilon)") ?? Double(op.epsilon))],
                inputs,
                shape, try weights(node, nil))
        case .linear(let op):
            if kind(node) == .pixel { return try pixel(node, inputs, shape, op.outputs, op.bias) }
            return try dense(node, inputs, shape, op.outputs, op.bias)
        case .activation(let op): return self.activation(op.function, node, inputs, shape)
        case .softmax: return simple("Softmax", ["axis": -1])
        case .unitNorm: return simple("UnitNormalization", ["axis": -1])
        case .maxPool(let op):
            return try pool("MaxPooling2D", node, op.window, x, before, shape, counts: true)
        case .averagePool(let op):
            return try pool(
                "AveragePooling2D", node, op.window, x, before, shape, counts: op.countsPadding)
        case .globalAveragePool(let op):
            return simple("GlobalAveragePooling2D", ["keepdims": .bool(op.keepsDimensions)])
        case .globalMaxPool(let op):
            return simple("GlobalMaxPooling2D", ["keepdims": .bool(op.keepsDimensions)])
        case .adaptiveAveragePool(let op):
            if before[2] == op.height, before[3] == op.width { return x }
            guard before[2] % op.height == 0, before[3] % op.width == 0 else {
                throw unsupported(node, "pooling \(before) to \(op.height) × \(op.width)")
            }
            let size = Extent(before[2] / op.height, before[3] / op.width)
            return simple(
                "AveragePooling2D",
                ["pool_size": pair(size), "strides": pair(size), "padding": "valid"])
        case .add, .multiply: return simple(node.op == .add ? "Add" : "Multiply")
        case .concatenate: return simple("Concatenate", ["axis": -1])
        case .slice(let op):
            return try slice(node, x, before, shape, start: op.start, count: op.count)
        case .flatten(let op):
            let ordered = op.channelsLast ? x : permuted(x, node.name, [3, 1, 2], before)
            return layer("Flatten", node.name, [:], [ordered], shape)
        case .reshape(let op):
            let sizes =
                op.channelsLast
                ? [op.height, op.width, op.channels] : [op.channels, op.height, op.width]
            let target: [String: JSONTree] = [
                "target_shape": .array(sizes.map { .integer($0) })
            ]
            let reshaped = layer("Reshape", node.name, target, inputs, shape)
            return op.channelsLast ? reshaped : permuted(reshaped, node.name, [2, 3, 1], shape)
        case .pad(let op):
            guard op.value == 0 else { throw unsupported(node, "padding with \(op.value)") }
            return pad(op.padding, x, node, before, shape)
        case .upsample(let op):
            return simple(
                "UpSampling2D",
                [
                    "size": pair(Extent(op.height, op.width)),
                    "interpolation": op.bilinear ? "bilinear" : "nearest",
                ])
        case .channelShuffle(let op):
            let (c, h, w) = (shape[1], shape[2], shape[3])
            let split = layer(
                "Reshape", node.name + "_split",
                ["target_shape": .array([h, w, op.groups, c / op.groups].map { .integer($0) })],
                [x],
                shape)
            let turned = layer(
                "Permute", node.name + "_permute", ["dims": [1, 2, 4, 3]], [split], shape)
            return layer(
                "Reshape", node.name,
                ["target_shape": .array([h, w, c].map { .integer($0) })], [turned], shape)
        case .affine(let op):
            func constants(_ values: [Float]) -> JSONTree {
                let numbers = values.map { JSONTree.number(Double($0)) }
                return numbers.count == 1 ? numbers[0] : .array(numbers)
            }
            return simple(
                "Rescaling", ["scale": constants(op.scale), "offset": constants(op.shift)])
        case .channelScale: return try channelScale(node, inputs, shape)
        case .dropout(let op): return simple("Dropout", ["rate": .number(Double(op.rate))])
        case .dropPath(let op):
            return simple(
                "Dropout", ["rate": .number(Double(op.rate)), "noise_shape": [nil, 1, 1, 1]])
        }
    }
}

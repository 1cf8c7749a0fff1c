// A Keras model under construction: its layers as they are written, one node of the graph after another.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// A variable of a layer, with Keras' name and axes.
typealias KerasWeight = (variable: String, tensor: LazyTensor)

/// One Keras layer under way.
struct KerasNode {
    let name: String
    let kind: String
    let config: JSONTree
    var inputs: [Int]
    var shape: Shape
    let weights: [KerasWeight]
    /// The layers of a `Sequential`.
    var inner: [KerasNode] = []
}

/// A node that is written: what it reads, as layers, and the shapes of its values.
struct KerasSite {
    /// The index of the node in the graph.
    let index: Int
    let node: Node
    /// The layers that hold the values that it reads.
    let inputs: [Int]
    /// The shape of its first input, for a batch of one.
    let before: Shape
    /// The shape of its value.
    let after: Shape

    var name: String { node.name }
    /// The layer that it reads first.
    var x: Int { inputs.first ?? 0 }

    /// The reason why the node cannot be written.
    func unsupported(_ what: String) -> NetworkError {
        .invalidNode(name, reason: "Keras has no layer for \(what)")
    }
}

/// Turns nodes into layers; some become several, and some two become one.
struct KerasModel {
    var layers: [KerasNode] = []
    /// The layer that holds the value of each node.
    var place: [Int] = []
    let graph: Graph
    let shapes: [Shape]
    /// The choices of Keras' own network where several layers compute the same.
    let blueprint: (any Blueprint)?
    /// The nodes that read each node.
    let readers: [[Int]]
    /// Whether each node's value is known to be ≥ 0.
    private let nonNegative: [Bool]
    private let weights: StateDict
    private var names: Set<String> = []

    init(_ graph: Graph, weights: StateDict, input: Extent) throws {
        self.graph = graph
        self.weights = weights
        guard case .input(let images) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        shapes = try graph.shapes(input: [1, images.channels, input.height, input.width])
        blueprint = graph.naming == .keras ? (try? Architectures.named(graph.name))?.blueprint : nil
        var readers = [[Int]](repeating: [], count: graph.nodes.count)
        var nonNegative: [Bool] = []
        for (index, node) in graph.nodes.enumerated() {
            for input in node.inputs { readers[input].append(index) }
            nonNegative.append(
                node.op.exportable.isNonNegative(reading: node.inputs.map { nonNegative[$0] }))
        }
        self.readers = readers
        self.nonNegative = nonNegative
    }

    /// Which of Keras' layers a node is, where the network's publisher has another than usual.
    func kind(of node: Node) -> KerasKind? { blueprint?.kerasKind(of: node.name) }

    /// Whether what a node reads is known to be ≥ 0: then zeros never win a maximum that −∞ would
    /// lose.
    func isNonNegative(at site: KerasSite) -> Bool { nonNegative[site.node.inputs[0]] }

    /// Adds node `index` of the graph.
    mutating func add(_ index: Int) throws {
        let node = graph.nodes[index]
        let inputs = node.inputs.map { place[$0] }
        if let input = inputs.first, pointwise(after: index) != nil {
            place.append(input)  // The layer is written where the second half stands.
            return
        }
        let site = KerasSite(
            index: index, node: node, inputs: inputs,
            before: node.inputs.first.map { shapes[$0] } ?? shapes[index], after: shapes[index])
        place.append(try node.op.exportable.write(at: site, to: &self))
    }

    /// Adds a layer of class `kind` under a node's name and `suffix`; it reads what the node reads,
    /// and has the node's shape, unless others are given. Shapes are logical: (N, C, H, W) or (N, C).
    mutating func layer(
        _ kind: String, at site: KerasSite, suffix: String = "", reading inputs: [Int]? = nil,
        shape: Shape? = nil, config: [String: JSONTree] = [:], weights: [KerasWeight] = []
    ) -> Int {
        let base = (site.name + suffix).replacing("/", with: "_")
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
                name: unique, kind: kind, config: .object(config), inputs: inputs ?? site.inputs,
                shape: shape ?? site.after, weights: weights))
        return layers.count - 1
    }

    /// Adds a layer that orders the axes of `x` so, counted from 1 without the batch.
    mutating func permuted(
        _ x: Int, at site: KerasSite, order: [Int], shape: Shape
    ) -> Int {
        layer(
            "Permute", at: site, suffix: "_permute", reading: [x], shape: shape,
            config: ["dims": .integers(order)])
    }

    // MARK: Weights

    /// A weight with the graph's axes.
    func tensor(_ parameter: Parameter) throws -> LazyTensor {
        guard let tensor = weights[parameter.name] else {
            throw NetworkError.missingWeight(parameter)
        }
        return tensor
    }

    /// The variables of a node with Keras' names and axes; `groups` are those of a depthwise kernel.
    func weights(of node: Node, groups: Int? = nil) throws -> [KerasWeight] {
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
            case .value, .constant: return ("value", tensor)
            }
        }
    }
}

extension JSONTree {
    /// A list of integers.
    static func integers(_ values: [Int]) -> JSONTree { .array(values.map { .integer($0) }) }

    /// A height and a width.
    static func extent(_ extent: Extent) -> JSONTree {
        [.integer(extent.height), .integer(extent.width)]
    }

    /// ((top, bottom), (left, right)).
    static func padding(_ padding: Padding) -> JSONTree {
        [.integers([padding.top, padding.bottom]), .integers([padding.left, padding.right])]
    }

    /// The shortest decimal that is this number in single precision.
    static func single(_ number: Float) -> JSONTree {
        .number(Double("\(number)") ?? Double(number))
    }
}

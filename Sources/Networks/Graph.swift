// A network as a list of nodes, each after the nodes that it reads.

import GraftTensors

/// A network: nodes in topological order over a closed set of operations, without numbers.
///
/// Built-in architectures, Keras configurations and ONNX files all become this; summary, shape
/// inference, inference, training, drawing and export are passes over it.
public struct Graph: Sendable, Hashable {
    /// What the network is called, as in ``Architecture`` names: `resnet50`, `torchvision/resnet50`.
    public var name: String
    /// The nodes; a node reads only nodes before it, and the first is the only input.
    public var nodes: [Node]
    /// The node whose value a run returns, often a softmax or the logits.
    public var output: Int
    /// The node that a classifier's head reads: the embedding, (N, features).
    public var features: Int
    /// The node of the unnormalised class scores, if the network classifies.
    public var logits: Int?
    /// How the publisher writes the names of parameters.
    public var naming: Naming
    /// The values that it answers, where they are several or have names; ``output`` is the first.
    public var outputs: [NamedOutput] = []

    /// A graph of nodes that are known to be sound; see ``validate()`` for others.
    public init(
        name: String, nodes: [Node], output: Int, features: Int, logits: Int?, naming: Naming
    ) {
        self.name = name
        self.nodes = nodes
        self.output = output
        self.features = features
        self.logits = logits
        self.naming = naming
    }

    /// All parameters and buffers in the order of the nodes; what several nodes read stands once.
    public var parameters: [Parameter] {
        var seen: Set<String> = []
        return nodes.flatMap(\.parameters).filter { seen.insert($0.name).inserted }
    }

    /// The number of weights, buffers included: Keras' "Total params".
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.shape.count } }

    /// The number of layers that have weights: the depth of Keras' table.
    public var depth: Int { Set(parameters.map(\.layer)).count }

    /// The number of class scores, if the network classifies.
    public var classes: Int? {
        var node = logits
        while let index = node, nodes.indices.contains(index) {
            let op = nodes[index].op
            if case .linear(let linear) = op { return linear.outputs }
            if case .conv2d(let convolution) = op { return convolution.outputs }
            if case .add = op {
                // The sum of several heads.
                let counts = nodes[index].inputs.map { input -> Int? in
                    guard nodes.indices.contains(input), case .linear(let head) = nodes[input].op
                    else { return nil }
                    return head.outputs
                }
                return Set(counts).count == 1 ? counts[0] : nil
            }
            guard op.rule.keepsScores else { return nil }
            // Nodes read only what is before them, so that this ends.
            node = nodes[index].inputs.first.flatMap { $0 < index ? $0 : nil }
        }
        return nil
    }

    /// The index of the node with this name.
    public func index(of name: String) -> Int? { nodes.firstIndex { $0.name == name } }
}

/// A value that a graph answers, under a name.
public struct NamedOutput: Sendable, Hashable, Codable {
    /// The name, unique in the graph.
    public var name: String
    /// The value.
    public var value: ValueID

    /// A value under a name.
    public init(name: String, value: ValueID) {
        self.name = name
        self.value = value
    }
}

extension Graph {
    /// The graph whose only output is the one of this name; nil if it has none of that name.
    public func selecting(_ name: String) -> Graph? {
        guard let chosen = outputs.first(where: { $0.name == name }), chosen.value.output == 0
        else {
            return nil
        }
        var graph = self
        if logits != chosen.value.node, output != chosen.value.node { graph.logits = nil }
        if graph.logits == nil { graph.features = chosen.value.node }
        graph.output = chosen.value.node
        graph.outputs = []
        return graph.pruned()
    }
}

/// One operation in a graph.
public struct Node: Sendable, Hashable, Codable {
    /// The publisher's layer name, unique in the graph.
    public var name: String
    /// What it computes.
    public var op: Op
    /// The values that it reads.
    public var reads: [ValueID]
    /// Its weights, in the publisher's order.
    public var parameters: [Parameter]
    /// The part of the network that it belongs to (`conv4`, `layer3`, `blocks.5`, `head`): what
    /// `--unfreeze` and learning rates by stage name.
    public var stage: String

    /// A node that reads the first values of other nodes.
    public init(
        name: String, op: Op, inputs: [Int], parameters: [Parameter] = [], stage: String = ""
    ) {
        self.init(
            name: name, op: op, reads: inputs.map { ValueID($0) }, parameters: parameters,
            stage: stage)
    }

    /// A node that reads these values.
    public init(
        name: String, op: Op, reads: [ValueID], parameters: [Parameter] = [], stage: String = ""
    ) {
        self.name = name
        self.op = op
        self.reads = reads
        self.parameters = parameters
        self.stage = stage
    }

    /// The indices of the nodes that it reads, as often as it reads them.
    public var inputs: [Int] { reads.map(\.node) }

    /// Makes it read the same outputs of the nodes' new places.
    public mutating func renumberInputs(_ place: (Int) -> Int) {
        for index in reads.indices { reads[index].node = place(reads[index].node) }
    }

    private enum CodingKeys: String, CodingKey {
        case name, op, reads = "inputs", parameters, stage
    }
}

/// Whose conventions the names of parameters follow.
public enum Naming: String, Sendable, Hashable, Codable {
    /// `conv1_conv/kernel`, `conv1_bn/gamma`, `…/moving_variance`.
    case keras
    /// `conv1.weight`, `bn1.running_var`.
    case torch
}

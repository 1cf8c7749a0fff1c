// Writes a graph node by node: names, shapes and parameters follow from the operations.

public import GraftTensors

/// A graph under construction. ``Layer``s add nodes to it; it tracks every node's shape for one
/// size of input, so that a layer needs to be told only its outputs.
public struct GraphBuilder: Sendable {
    /// How parameters are named.
    public let naming: Naming
    /// The nodes so far.
    public private(set) var nodes: [Node] = []
    /// The shape of every node's first value.
    public var shapes: [Shape] { types.map { $0[0].shape } }
    /// The types of every node's values.
    public private(set) var types: [[ValueType]] = []
    /// The part of the network that new nodes belong to.
    public var stage = ""
    /// Prefixes of the names of new nodes, outermost first.
    public var scopes: [String] = []
    private var names: Set<String> = []
    /// The last number that was given after a name.
    private var numbers: [String: Int] = [:]

    /// A graph of one input node, for images of this size.
    public init(naming: Naming, input: Shape, inputName: String = "input") throws(NetworkError) {
        self.naming = naming
        guard input.rank == 4 else {
            throw .invalidGraph("expected an input (N, C, H, W), got \(input)")
        }
        let node = Node(name: inputName, op: .input(channels: input[1]), inputs: [])
        types = [try node.outputTypes(reading: [ValueType(input)])]
        nodes = [node]
        names = [inputName]
    }

    /// A graph of several input nodes, or of inputs that are not images, for values of these types.
    public init(naming: Naming, inputs: [TypedInput]) throws(NetworkError) {
        self.naming = naming
        for input in inputs {
            guard names.insert(input.name).inserted else {
                throw .invalidGraph("two layers are called `\(input.name)`")
            }
            let node = Node(name: input.name, op: .input(input.op), inputs: [])
            types.append(try node.outputTypes(reading: [input.type]))
            nodes.append(node)
        }
    }

    /// An input of a graph under construction.
    public struct TypedInput: Sendable {
        /// The name of its node.
        public var name: String
        /// The values that it takes.
        public var op: Op.Input
        /// The type for which shapes are computed.
        public var type: ValueType

        /// An input for values of exactly this type.
        public init(name: String, type: ValueType) {
            let sizes = type.shape.dimensions.map { OpenType.Size.number($0) }
            self.init(
                name: name, op: Op.Input(type: OpenType(element: type.element, sizes: sizes)),
                type: type)
        }

        /// An input for values that `op` takes, of which `type` is one.
        public init(name: String, op: Op.Input, type: ValueType) {
            self.name = name
            self.op = op
            self.type = type
        }
    }

    /// The number of channels of a node's value.
    public func channels(of node: Int) -> Int { types[node][0].shape[1] }

    /// Whether a node has this full name.
    public func contains(_ name: String) -> Bool { names.contains(name) }

    /// The node that was added last.
    public var last: Int { nodes.count - 1 }

    /// The full name of a layer here: the scopes and `name`, joined as the publisher does.
    public func qualified(_ name: String) -> String {
        let separator = naming == .torch ? "." : "_"
        return (scopes + [name]).filter { !$0.isEmpty }.joined(separator: separator)
    }

    /// Adds a node and gives its index. `name` nil makes one from the operation; one that ends in
    /// `#` gets the next free number, as Keras calls layers without a name (`conv2d#`: `conv2d`,
    /// `conv2d_1`…). `parameters` replaces the weights that the operation has under its own name.
    @discardableResult
    public mutating func add(
        _ op: Op, name: String?, inputs: [Int], parameters own: [Parameter]? = nil
    ) throws(NetworkError) -> Int {
        try add(op, name: name, reads: inputs.map { ValueID($0) }, parameters: own)
    }

    /// Adds a node that reads values of nodes with several, and gives its index.
    @discardableResult
    public mutating func add(
        _ op: Op, name: String?, reads: [ValueID], parameters own: [Parameter]? = nil
    ) throws(NetworkError) -> Int {
        var full = qualified(name ?? op.kind)
        if name == nil || full.hasSuffix("#") {
            if full.hasSuffix("#") { full.removeLast() }
            let base = full
            while names.contains(full) {
                numbers[base, default: 0] += 1
                full = base + "_\(numbers[base, default: 0])"
            }
        }
        guard names.insert(full).inserted else {
            throw .invalidGraph("two layers are called `\(full)`")
        }
        if case .input = op { throw .invalidNode(full, reason: "a second input") }
        let sources = reads.map { types[$0.node][$0.output] }
        let expected: [ExpectedParameter]
        do {
            expected = own == nil ? try op.rule.parameters(reading: sources) : []
        } catch {
            throw .invalidNode(full, reason: error.explanation)
        }
        let made = expected.filter { !$0.isOptional }.map {
            Parameter(name: naming.parameter($0.role, of: full), shape: $0.shape, role: $0.role)
        }
        let node = Node(
            name: full, op: op, reads: reads, parameters: own ?? made, stage: stage)
        types.append(try node.outputTypes(reading: sources))
        nodes.append(node)
        return last
    }

    /// The finished graph.
    public func graph(name: String, output: Int, features: Int, logits: Int?) -> Graph {
        Graph(
            name: name, nodes: nodes, output: output, features: features, logits: logits,
            naming: naming)
    }
}

extension Naming {
    /// The published name of a layer's weight: `conv1.weight`, `conv1_conv/kernel`.
    public func parameter(_ role: Parameter.Role, of layer: String) -> String {
        switch self {
        case .torch:
            switch role {
            case .kernel, .depthwiseKernel, .matrix, .scale: layer + ".weight"
            case .bias, .shift: layer + ".bias"
            case .runningMean: layer + ".running_mean"
            case .runningVariance: layer + ".running_var"
            case .count: layer + ".count"
            case .value, .constant: layer
            }
        case .keras:
            switch role {
            case .kernel, .matrix: layer + "/kernel"
            case .depthwiseKernel: layer + "/depthwise_kernel"
            case .bias: layer + "/bias"
            case .scale: layer + "/gamma"
            case .shift: layer + "/beta"
            case .runningMean: layer + "/moving_mean"
            case .runningVariance: layer + "/moving_variance"
            case .count: layer + "/count"
            case .value, .constant: layer
            }
        }
    }
}

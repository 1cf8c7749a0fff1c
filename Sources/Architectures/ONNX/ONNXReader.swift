// The walk over an ONNX graph: every node becomes nodes of a graph, or a constant.

import GraftNetworks
internal import GraftSchemas
import GraftTensors
import OrderedCollections

/// Builds a graph node by node, as the rows of ``ONNXOperator/all`` say.
struct ONNXReader {
    var builder: GraphBuilder
    /// The values of the file that are known so far.
    private(set) var values: [String: ONNXValue]
    let proto: Onnx_GraphProto
    let opset: Int
    /// Whether the sizes are those of the values that come, and not of one image of any size.
    let hasFixedSize: Bool
    /// The number of images that the file was exported for; 1 for any number.
    let batch: Int
    /// The tensors that the file is run on; nil where it is read for others to come.
    let feed: ONNXFeed?
    /// The numbers of the inputs of the graph, where they are known.
    var held: [Int: Tensor] = [:]
    /// The graphs of the file that are under way, outermost first.
    var frames: [ONNXFrame] = []
    /// The quantisation of nodes that stand for integers.
    var steps: [Int: ONNXQuantization.Step] = [:]
    private var weights = StateDict()
    /// The builder's name of a parameter -> the file's.
    private var renames: [String: String] = [:]
    /// The most numbers that are computed while a file is read.
    private static let maximumComputedCount = 1 << 28
    private var budget = maximumComputedCount
    /// The most nodes that are read, those of loops as often as they run.
    private static let maximumNodeCount = 1_000_000
    private var nodeCount = 0
    /// The nodes of the graph that are constants of the file, by their names there.
    var constants: [String: Int] = [:]
    /// The parts that operators are made of so far, which gives them names.
    var partCount = 0
    /// The number of times that a weight is used again, which a graph says as another weight.
    private var copies: [String: Int] = [:]

    /// A reader of `proto`; `feed` has the tensors if it is read to be run on these.
    init(
        _ proto: Onnx_GraphProto, initializers: StateDict, opset: Int, feed: ONNXFeed? = nil
    ) throws {
        self.proto = proto
        self.opset = opset
        self.feed = feed
        var values: [String: ONNXValue] = [:]
        for (name, tensor) in initializers.tensors { values[name] = .constant(try tensor.load()) }
        let known = values
        let entry = try ONNXEntry(
            proto.input.filter { known[$0.name] == nil || feed?.inputs[$0.name] != nil }, of: proto,
            feed: feed)
        builder = entry.builder
        hasFixedSize = entry.hasFixedSize
        batch = entry.batch
        held = entry.held
        values.merge(entry.values) { _, given in given }
        self.values = values
        frames = [ONNXFrame(proto.node, then: proto.output.map(\.name))]
    }

    /// Reads the nodes of the file.
    mutating func addAll() throws {
        for (index, node) in proto.node.enumerated() {
            frames[0].position = index
            try add(node)
        }
    }

    /// Reads a node of the file.
    mutating func add(_ proto: Onnx_NodeProto) throws {
        nodeCount += 1
        var node = try resolved(proto)
        guard nodeCount <= Self.maximumNodeCount else {
            throw node.fail(.excess(.nodes, limit: Self.maximumNodeCount))
        }
        if feed != nil, try settle(ONNXStructure.inputs(of: node), of: node) {
            node = try resolved(proto)
        }
        try set(try read(node), of: node)
    }

    /// The node with the values that it reads.
    private func resolved(_ proto: Onnx_NodeProto) throws -> ONNXNode {
        var inputs: [ONNXValue?] = []
        var missing: String?
        for name in proto.input {
            let value = values[name]
            if value == nil, !name.isEmpty { missing = missing ?? name }
            inputs.append(value)
        }
        let node = ONNXNode(proto: proto, opset: opset, inputs: inputs)
        // What graft does not know may have failed to give it.
        if let missing {
            _ = try row(of: node)
            throw node.fail(.missingInput(missing))
        }
        return node
    }

    /// The row of a node's operator; nil for one that only numbers have.
    private func row(of node: ONNXNode) throws -> ONNXOperator? {
        let row = (feed == nil ? ONNXOperator.all : ONNXOperator.exact)[node.key]
        guard node.isStandard || row != nil else { throw unknown(node) }
        return row
    }

    private func unknown(_ node: ONNXNode) -> ArchitectureError {
        node.fail(
            node.isStandard
                ? "graft does not know the operator `\(node.type)`"
                : "graft does not know the operator `\(node.type)` of `\(node.proto.domain)`")
    }

    /// The values of a node of an operator, whose inputs are at hand.
    mutating func read(_ node: ONNXNode) throws -> [ONNXValue] {
        let row = try row(of: node)
        if node.isStandard, let constant = try ONNXConstants.evaluate(node, in: &self) {
            return [.constant(constant)]
        }
        if node.isStandard, let empty = try ONNXEmpty.evaluate(node, in: &self) { return empty }
        guard let row else { throw unknown(node) }
        return try row.read(row.followsAxes ? node : try inOrder(node), &self)
    }

    /// The node with what it reads as the graph has it: other orders of axes become transpositions.
    private mutating func inOrder(_ node: ONNXNode) throws -> ONNXNode {
        var inputs = node.inputs
        for (index, input) in inputs.enumerated() {
            switch input {
            case .channelsLast, .split, .shuffled:
                inputs[index] = .node(try operand(of: node, at: index))
            case .node, .constant, nil: continue
            }
        }
        return ONNXNode(proto: node.proto, opset: node.opset, inputs: inputs)
    }

    private mutating func set(_ results: [ONNXValue], of node: ONNXNode) throws {
        guard !node.proto.output.isEmpty else { throw node.fail(.missing(.output)) }
        for (name, value) in zip(node.proto.output, results) where !name.isEmpty {
            self[name] = value
        }
    }

    /// The value of a name of the file.
    subscript(name: String) -> ONNXValue? {
        get { values[name] }
        set {
            values[name] = newValue
            // A loop gives a name another value.
            constants[name] = nil
        }
    }

    /// Counts numbers that are computed while reading: a small file must not ask for many.
    mutating func spend(_ count: Int, on node: ONNXNode) throws {
        budget -= count
        guard budget >= 0 else {
            throw node.fail(
                "more than \(Self.maximumComputedCount) numbers are computed while reading")
        }
    }

    /// Whether the file's reader has found the numbers of a constant, wherever they lie.
    func known(_ node: ONNXNode) -> Tensor? {
        guard let name = node.proto.output.first, case .constant(let tensor)? = values[name] else {
            return nil
        }
        return tensor
    }

    // MARK: Adding to the graph

    /// Adds an operation under the node's name and `suffix`.
    mutating func emit(
        _ op: Op, for node: ONNXNode, reading inputs: [Int], suffix: String = ""
    ) throws -> Int {
        try emit(op, for: node, values: inputs.map { ValueID($0) }, suffix: suffix)
    }

    /// Adds an operation that reads these values.
    mutating func emit(
        _ op: Op, for node: ONNXNode, values: [ValueID], suffix: String = ""
    ) throws -> Int {
        do throws(NetworkError) {
            return try builder.add(op, name: name(of: node, suffix: suffix), reads: values)
        } catch {
            // A person knows the file's node and not the layer that it becomes.
            if case .invalidNode(_, let reason) = error { throw node.fail(reason) }
            throw error
        }
    }

    /// Adds an operation with weights, in the order of its parameters.
    mutating func emit(
        _ op: Op, for node: ONNXNode, reading inputs: [Int], weights: [ONNXWeight]
    ) throws -> Int {
        let index = try emit(op, for: node, reading: inputs)
        try bind(weights, of: node, to: index)
        return index
    }

    /// The node that is one of several values of another.
    mutating func output(_ place: Int, of index: Int, for node: ONNXNode) throws -> Int {
        if place == 0 { return index }
        return try emit(
            .cast(builder.types[index][place].element), for: node,
            values: [ValueID(index, output: place)], suffix: ".value\(place)")
    }

    /// The name of the next node: those of ONNX need not be unique, layers' must be.
    mutating func name(of node: ONNXNode, suffix: String = "") -> String {
        let proto = node.proto
        let name = (proto.name.isEmpty ? proto.output.first ?? proto.opType : proto.name) + suffix
        builder.stage = Self.stage(of: name)
        return builder.contains(name) ? name + "#\(builder.last)" : name
    }

    /// The part of the network that a node belongs to: its numbered blocks, as exporters name them
    /// (`/layers/layers.0/blocks/blocks.1/attn/MatMul` is of `layers.0.blocks.1`), else its first name.
    private static func stage(of name: String) -> String {
        let parts = name.split(separator: "/")
        let blocks = parts.filter { part in
            guard let dot = part.lastIndex(of: "."), dot != part.startIndex else { return false }
            let number = part[part.index(after: dot)...]
            return !number.isEmpty && number.allSatisfy(\.isNumber)
        }
        if name.hasPrefix("/"), !blocks.isEmpty { return blocks.joined(separator: ".") }
        return String(name.drop { $0 == "/" }.prefix { $0 != "/" && $0 != "." && $0 != "_" })
    }

    /// Gives the weights of node `index`, in the order of its parameters.
    mutating func bind(_ tensors: [ONNXWeight], of node: ONNXNode, to index: Int) throws {
        let parameters = builder.nodes[index].parameters
        guard parameters.count == tensors.count else { throw node.fail(.missing(.weights)) }
        for (parameter, weight) in zip(parameters, tensors) {
            guard weight.tensor.count == parameter.shape.count else {
                throw node.fail(
                    "its weight `\(weight.name)`: expected \(parameter.shape), found "
                        + "\(weight.tensor.shape)")
            }
            var unique = weight.name
            while weights[unique] != nil {
                copies[weight.name, default: 0] += 1
                unique = "\(weight.name)#\(copies[weight.name, default: 0])"
            }
            weights[unique] = LazyTensor(weight.tensor.reshaped(parameter.shape))
            renames[parameter.name] = unique
        }
    }

    /// Whether all that read a node's value are transpositions to this order of axes.
    func isRead(_ node: ONNXNode, inOrder order: [Int]) -> Bool {
        guard let name = node.proto.output.first else { return false }
        let readers = proto.node.filter { $0.input.contains(name) }
        return !readers.isEmpty
            && readers.allSatisfy { $0.opType == "Transpose" && ONNXEntry.order(of: $0) == order }
    }

    // MARK: The graph so far

    /// A graph with its weights under the file's names.
    func bound(_ graph: Graph) throws -> (graph: Graph, weights: StateDict) {
        var graph = graph
        for index in graph.nodes.indices {
            for position in graph.nodes[index].parameters.indices {
                let name = graph.nodes[index].parameters[position].name
                graph.nodes[index].parameters[position].name = renames[name] ?? name
            }
        }
        return (graph, try graph.bound(weights))
    }

    /// Begins another graph, whose inputs are these.
    mutating func restart(_ inputs: [GraphBuilder.TypedInput], held: [Int: Tensor]) throws {
        builder = try GraphBuilder(naming: .torch, inputs: inputs)
        self.held = held
        (steps, constants, renames, copies) = ([:], [:], [:], [:])
        weights = StateDict()
    }
}

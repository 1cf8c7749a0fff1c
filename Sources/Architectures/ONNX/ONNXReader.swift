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
    private let proto: Onnx_GraphProto
    private let opset: Int
    private let input: Shape
    /// Whether the file says the size of its images.
    let hasFixedSize: Bool
    /// The quantisation of nodes that stand for integers.
    var steps: [Int: ONNXQuantization.Step] = [:]
    private var weights = StateDict()
    /// The builder's name of a parameter -> the file's.
    private var renames: [String: String] = [:]
    /// The most numbers that are computed while a file is read.
    private static let maximumComputedCount = 1 << 28
    private var budget = maximumComputedCount
    /// The nodes of the graph that are constants of the file, by their names there.
    var constants: [String: Int] = [:]
    /// The number of times that a weight is used again, which a graph says as another weight.
    private var copies: [String: Int] = [:]

    init(_ proto: Onnx_GraphProto, initializers: StateDict, opset: Int) throws {
        self.proto = proto
        self.opset = opset
        var values: [String: ONNXValue] = [:]
        for (name, tensor) in initializers.tensors { values[name] = .constant(try tensor.load()) }
        let inputs = proto.input.filter { values[$0.name] == nil }
        guard inputs.count == 1, proto.output.count == 1 else {
            throw ArchitectureError.onnx(
                node: proto.name,
                reason: "it has \(inputs.count) inputs and \(proto.output.count) outputs, expected "
                    + "one of each")
        }
        let dimensions = inputs[0].type.tensorType.shape.dim
        let sizes = dimensions.map { Int(clamping: $0.dimValue) }
        let isLast = Self.isChannelsLast(inputs[0].name, in: proto)
        let order = isLast ? [0, 3, 1, 2] : [0, 1, 2, 3]
        guard sizes.count == 4, (1...65536).contains(sizes[order[1]]) else {
            throw ArchitectureError.onnx(
                node: inputs[0].name, reason: "expected an input (N, C, H, W), got \(Shape(sizes))")
        }
        func size(_ value: Int) -> Int { (1...65536).contains(value) ? value : 224 }
        input = [1, sizes[order[1]], size(sizes[order[2]]), size(sizes[order[3]])]
        hasFixedSize = order[2...].allSatisfy { (1...65536).contains(sizes[$0]) }
        builder = try GraphBuilder(naming: .torch, input: input, inputName: "input")
        values[inputs[0].name] = isLast ? .channelsLast(0) : .node(0)
        self.values = values
    }

    /// Whether images come as (N, H, W, C): all that reads them puts the channels first.
    private static func isChannelsLast(_ input: String, in proto: Onnx_GraphProto) -> Bool {
        var names: Set<String> = [input]
        var isTurned = false
        for node in proto.node where node.input.contains(where: names.contains) {
            switch node.opType {
            case "Cast", "Identity": names.formUnion(node.output)
            case "Transpose" where Self.order(of: node) == [0, 3, 1, 2]: isTurned = true
            case "Shape": break
            default: return false
            }
        }
        return isTurned
    }

    /// The order of axes that a transposition makes.
    private static func order(of node: Onnx_NodeProto) -> [Int]? {
        node.attribute.first { $0.name == "perm" }?.ints.map { Int(clamping: $0) }
    }

    /// Reads a node of the file.
    mutating func add(_ proto: Onnx_NodeProto) throws {
        var inputs: [ONNXValue?] = []
        var missing: String?
        for name in proto.input {
            let value = values[name]
            if value == nil, !name.isEmpty { missing = missing ?? name }
            inputs.append(value)
        }
        let node = ONNXNode(proto: proto, opset: opset, inputs: inputs)
        let isStandard = proto.domain.isEmpty || proto.domain == "ai.onnx"
        let row = ONNXOperator.all[isStandard ? proto.opType : "\(proto.domain).\(proto.opType)"]
        let unknown = node.fail(
            isStandard
                ? "graft does not know the operator `\(proto.opType)`"
                : "graft does not know the operator `\(proto.opType)` of `\(proto.domain)`")
        guard isStandard || row != nil else { throw unknown }
        if let missing { throw node.fail("its input `\(missing)` is missing") }
        if isStandard, let constant = try ONNXConstants.evaluate(node, in: &self) {
            return try set([.constant(constant)], of: node)
        }
        guard let row else { throw unknown }
        try set(try row.read(row.followsAxes ? node : try inOrder(node), &self), of: node)
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
        guard !node.proto.output.isEmpty else { throw node.fail("it has no output") }
        for (name, value) in zip(node.proto.output, results) { values[name] = value }
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
        do throws(NetworkError) {
            return try builder.add(op, name: name(of: node, suffix: suffix), inputs: inputs)
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
        guard parameters.count == tensors.count else { throw node.fail("it lacks weights") }
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
            && readers.allSatisfy { $0.opType == "Transpose" && Self.order(of: $0) == order }
    }

    /// The finished graph with its weights, and the size of image that the file says.
    func finish() throws -> (graph: Graph, weights: StateDict, input: Extent) {
        guard case .node(let output) = values[proto.output[0].name] else {
            throw ArchitectureError.onnx(
                node: proto.output[0].name, reason: "the output is not what a layer yields")
        }
        var graph = try builder.finished(name: proto.name, output: output)
        graph = graph.rewritten()
        // What was traced with one image holds for any number of them.
        if graph.nodes.contains(where: { !$0.op.rule.treatsSamplesAlone }) {
            graph = try graph.forAnyBatch(input: input)
        }
        for index in graph.nodes.indices {
            for position in graph.nodes[index].parameters.indices {
                let name = graph.nodes[index].parameters[position].name
                graph.nodes[index].parameters[position].name = renames[name] ?? name
            }
        }
        return (graph, try graph.bound(weights), Extent(input[2], input[3]))
    }
}

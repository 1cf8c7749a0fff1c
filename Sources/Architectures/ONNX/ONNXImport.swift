// ONNX -> Graph: the operators that convolutional networks use.

public import GraftNetworks
internal import GraftSchemas
public import GraftTensors
import OrderedCollections

/// Reads an ONNX model as a graph with weights.
public enum ONNXImport {
    /// The network in a file, its weights and the size of image it was exported for.
    /// `initializers` are the weights as the file's reader has them, wherever they lie. `select`
    /// names the output to take, of a model with several.
    ///
    /// - Throws: ``ArchitectureError/onnx(node:reason:)`` that names the node which graft cannot run,
    ///   ``ArchitectureError/outputs(_:selected:)`` that lists the outputs.
    public static func open(
        _ path: String, initializers: StateDict, select: String? = nil
    ) throws -> (graph: Graph, weights: StateDict, input: Extent) {
        let (graph, weights, input, _) = try read(
            path, initializers: initializers, select: select)
        return (graph, weights, input)
    }

    /// The network in a file, and the properties that its metadata hold.
    package static func read(
        _ path: String, initializers: StateDict, select: String? = nil
    ) throws -> (graph: Graph, weights: StateDict, input: Extent, metadata: [String: String]) {
        var model: Onnx_ModelProto
        do {
            model = try ONNXModel.read(try Storage(mapping: path))
        } catch let problem as ONNXModel.Problem {
            throw ArchitectureError.onnx(node: path, reason: problem.reason)
        }
        guard model.graph.node.count <= 100_000 else {
            throw ArchitectureError.onnx(
                node: path,
                reason: "it has \(model.graph.node.count) nodes, expected at most 100000")
        }
        try choose(select, in: &model.graph)
        let opset = model.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }
        var reader = try ONNXReader(
            model.graph, initializers, opset: Int(clamping: opset?.version ?? 1))
        for node in model.graph.node { try reader.add(node) }
        let (graph, weights, input) = try reader.finish()
        let metadata = Dictionary(model.metadataProps.map { ($0.key, $0.value) }) { $1 }
        return (graph, weights, input, metadata)
    }

    /// Leaves the output called `select` alone, and the nodes that it needs.
    private static func choose(_ select: String?, in graph: inout Onnx_GraphProto) throws {
        let names = graph.output.map(\.name)
        guard names.count != 1 || select != nil && select != names[0] else { return }
        guard let select, let output = graph.output.first(where: { $0.name == select }) else {
            throw ArchitectureError.outputs(names, selected: select)
        }
        graph.output = [output]
        var needed: Set<String> = [select]
        var kept: [Onnx_NodeProto] = []
        // Every node stands after those that it reads.
        for node in graph.node.reversed() where node.output.contains(where: needed.contains) {
            needed.formUnion(node.input)
            kept.append(node)
        }
        graph.node = kept.reversed()
    }
}

/// A value of the ONNX graph: numbers that are known, or what a node of the graph yields.
enum ONNXValue {
    case constant(Tensor)
    case node(Int)
    /// Node's value with its axes as N, H, W, C.
    case channelsLast(Int)
    /// Node's channels split in groups, before and after the exchange of a channel shuffle.
    case split(Int, groups: Int)
    case shuffled(Int, groups: Int)
}

struct ONNXReader {
    var builder: GraphBuilder
    var values: [String: ONNXValue]
    let proto: Onnx_GraphProto
    /// The version of the operators.
    let opset: Int
    private let input: Shape
    private var weights = StateDict()
    /// The builder's name of a parameter -> the file's.
    private var renames: [String: String] = [:]
    /// How often a weight is used again, which a graph says as another weight.
    private var copies: [String: Int] = [:]

    init(_ proto: Onnx_GraphProto, _ initializers: StateDict, opset: Int) throws {
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
        guard sizes.count == 4, (1...65536).contains(sizes[1]) else {
            throw ArchitectureError.onnx(
                node: inputs[0].name, reason: "expected an input (N, C, H, W), got \(Shape(sizes))")
        }
        func size(_ value: Int) -> Int { (1...65536).contains(value) ? value : 224 }
        input = [1, sizes[1], size(sizes[2]), size(sizes[3])]
        builder = try GraphBuilder(naming: .torch, input: input, inputName: "input")
        values[inputs[0].name] = .node(0)
        self.values = values
    }

    func fail(_ node: Onnx_NodeProto, _ reason: String) -> ArchitectureError {
        .onnx(node: "\(node.name.isEmpty ? node.output.first ?? "?" : node.name)", reason: reason)
    }

    // MARK: Reading a node

    private func value(_ node: Onnx_NodeProto, _ index: Int) throws -> ONNXValue {
        guard index < node.input.count, let value = values[node.input[index]] else {
            throw fail(node, "its input \(index) is missing")
        }
        return value
    }

    func tensor(_ node: Onnx_NodeProto, _ index: Int) throws -> Tensor? {
        guard index < node.input.count, !node.input[index].isEmpty else { return nil }
        guard case .constant(let tensor) = try value(node, index) else {
            throw fail(node, "its input `\(node.input[index])` is computed, expected numbers")
        }
        return tensor
    }

    func integers(_ node: Onnx_NodeProto, _ index: Int) throws -> [Int]? {
        guard let tensor = try tensor(node, index) else { return nil }
        guard tensor.count <= 64 else { throw fail(node, "too many numbers") }
        return tensor.converted(to: .f64).withBytes { bytes in
            (0..<tensor.count).map {
                Int(
                    clamping: Int64(
                        exactly: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self)
                            .rounded()) ?? 0)
            }
        }
    }

    func map(_ node: Onnx_NodeProto, _ index: Int = 0) throws -> Int {
        guard case .node(let x) = try value(node, index) else {
            throw fail(node, "its input has its axes in an order that graft cannot follow")
        }
        return x
    }

    func attribute(_ node: Onnx_NodeProto, _ name: String) -> Onnx_AttributeProto? {
        node.attribute.first { $0.name == name }
    }
    func integer(_ node: Onnx_NodeProto, _ name: String, _ usual: Int) -> Int {
        attribute(node, name).map { Int(clamping: $0.i) } ?? usual
    }
    func integers(_ node: Onnx_NodeProto, _ name: String) -> [Int]? {
        attribute(node, name).map { $0.ints.map { Int(clamping: $0) } }
    }
    func number(_ node: Onnx_NodeProto, _ name: String, _ usual: Float) -> Float {
        attribute(node, name)?.f ?? usual
    }
    func text(_ node: Onnx_NodeProto, _ name: String) -> String? {
        attribute(node, name).map { String(decoding: $0.s, as: UTF8.self) }
    }

    // MARK: Adding to the graph

    mutating func emit(_ node: Onnx_NodeProto, _ op: Op, _ inputs: [Int], suffix: String = "")
        throws
        -> Int
    {
        try builder.add(op, name: name(node, suffix), inputs: inputs)
    }

    /// The name of the next node: those of ONNX need not be unique, layers' must be.
    mutating func name(_ node: Onnx_NodeProto, _ suffix: String = "") -> String {
        let name = (node.name.isEmpty ? node.output.first ?? node.opType : node.name) + suffix
        builder.stage = String(
            name.drop { $0 == "/" }.prefix { $0 != "/" && $0 != "." && $0 != "_" })
        return builder.contains(name) ? name + "#\(builder.last)" : name
    }

    mutating func result(_ node: Onnx_NodeProto, _ value: ONNXValue) throws {
        guard let name = node.output.first else { throw fail(node, "it has no output") }
        values[name] = value
    }

    /// Gives the weights of a node, that which was added last unless told, in the order of its
    /// parameters.
    mutating func bind(
        _ node: Onnx_NodeProto, _ tensors: [(String, Tensor)], to index: Int? = nil
    ) throws {
        let parameters = builder.nodes[index ?? builder.last].parameters
        guard parameters.count == tensors.count else { throw fail(node, "it lacks weights") }
        for (parameter, (name, tensor)) in zip(parameters, tensors) {
            guard tensor.count == parameter.shape.count else {
                throw fail(
                    node, "its weight `\(name)`: expected \(parameter.shape), found \(tensor.shape)"
                )
            }
            var unique = name
            while weights[unique] != nil {
                copies[name, default: 0] += 1
                unique = "\(name)#\(copies[name, default: 0])"
            }
            weights[unique] = LazyTensor(tensor.reshaped(parameter.shape))
            renames[parameter.name] = unique
        }
    }

    func finish() throws -> (graph: Graph, weights: StateDict, input: Extent) {
        guard case .node(let output) = values[proto.output[0].name] else {
            throw ArchitectureError.onnx(
                node: proto.output[0].name, reason: "the output is not what a layer yields")
        }
        var graph = try builder.finished(name: proto.name, output: output)
        for index in graph.nodes.indices {
            for position in graph.nodes[index].parameters.indices {
                let name = graph.nodes[index].parameters[position].name
                graph.nodes[index].parameters[position].name = renames[name] ?? name
            }
        }
        return (graph, try graph.bound(weights), Extent(input[2], input[3]))
    }
}

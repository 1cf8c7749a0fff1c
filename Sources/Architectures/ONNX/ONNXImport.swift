// ONNX -> Graph: the whole file, and which of its outputs is read.

public import GraftNetworks
internal import GraftSchemas
public import GraftTensors
import OrderedCollections

/// Reads an ONNX model as a graph with weights.
public enum ONNXImport {
    /// The largest number of nodes in a model.
    static let maximumNodeCount = 100_000

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
        _ path: String, initializers: StateDict, select: String? = nil, keepsOutputs: Bool = false
    ) throws -> (graph: Graph, weights: StateDict, input: Extent, metadata: [String: String]) {
        var model = try model(path)
        leaveOutPreprocessing(in: &model)
        let (graph, weights, input) = try read(
            model.graph, initializers: initializers, opset: model.opset, select: select,
            keepsOutputs: keepsOutputs)
        let metadata = Dictionary(model.metadataProps.map { ($0.key, $0.value) }) { $1 }
        return (graph, weights, input, metadata)
    }

    /// The model in a file.
    static func model(_ path: String) throws -> Onnx_ModelProto {
        let model: Onnx_ModelProto
        do {
            model = try ONNXModel.read(try Storage(mapping: path))
        } catch let problem as ONNXModel.Problem {
            throw ArchitectureError.onnx(node: path, reason: problem.reason)
        }
        let count = model.graph.node.count
        guard count <= maximumNodeCount else {
            throw ArchitectureError.onnx(
                node: path, reason: "it has \(count) nodes, expected at most \(maximumNodeCount)")
        }
        return model
    }

    /// The network that a graph of ONNX operators is, whether a file has it or a reader of another
    /// format wrote it.
    static func read(
        _ proto: Onnx_GraphProto, initializers: StateDict, opset: Int, select: String?,
        keepsOutputs: Bool = false
    ) throws -> (graph: Graph, weights: StateDict, input: Extent) {
        var proto = proto
        if select != nil || !keepsOutputs { try choose(select, in: &proto) }
        var reader = try ONNXReader(proto, initializers: initializers, opset: opset)
        try reader.addAll()
        return try reader.finish()
    }

    /// Leaves the output called `select` alone, and the nodes that it needs.
    private static func choose(_ select: String?, in graph: inout Onnx_GraphProto) throws {
        let names = graph.output.map(\.name)
        guard names.count != 1 || select != nil && select != names[0] else { return }
        guard let select, let output = graph.output.first(where: { $0.name == select }) else {
            throw ArchitectureError.outputs(names, selected: select)
        }
        graph.output = [output]
        keepNeededNodes(in: &graph)
    }

    /// Leaves out the preprocessing that graft wrote before a network: the file's properties say it
    /// in a form that a model keeps.
    private static func leaveOutPreprocessing(in model: inout Onnx_ModelProto) {
        let bytes: Int32 = 2
        guard model.producerName == ONNXExport.producer, model.graph.input.count == 1,
            model.graph.input[0].type.tensorType.elemType == bytes,
            let start = model.graph.valueInfo.first(where: { $0.name == ONNXGraph.prepared })
        else { return }
        model.graph.input = [start]
        keepNeededNodes(in: &model.graph)
    }

    /// Leaves the nodes that the outputs need of what the inputs do not give.
    static func keepNeededNodes(in graph: inout Onnx_GraphProto) {
        var needed = Set(graph.output.map(\.name))
        let given = Set(graph.input.map(\.name))
        var kept: [Onnx_NodeProto] = []
        // Every node stands after those that it reads.
        for node in graph.node.reversed()
        where node.output.contains(where: { needed.contains($0) && !given.contains($0) }) {
            needed.formUnion(node.allReads)
            kept.append(node)
        }
        graph.node = kept.reversed()
    }
}

extension Onnx_ModelProto {
    /// The version of ONNX's own operators.
    var opset: Int {
        let entry = opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }
        return Int(clamping: entry?.version ?? 1)
    }
}

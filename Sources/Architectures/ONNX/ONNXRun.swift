// An ONNX file run on tensors: every input and every output by its name.

internal import GraftNetworks
internal import GraftSchemas
package import GraftTensors

/// An ONNX file that is run as it declares its inputs.
package struct ONNXRun {
    private let graph: Onnx_GraphProto
    private let opset: Int
    private let initializers: StateDict

    /// The model of a file; `initializers` are the weights as the file's reader has them.
    package init(_ path: String, initializers: StateDict) throws {
        let model = try ONNXImport.model(path)
        graph = model.graph
        opset = model.opset
        self.initializers = initializers
    }

    /// The names of the inputs that have no numbers in the file.
    package var inputs: [String] {
        graph.input.map(\.name).filter { initializers[$0] == nil }
    }

    /// The names of the outputs.
    package var outputs: [String] { graph.output.map(\.name) }

    /// Whether a tensor is what an input declares.
    package func takes(_ shape: Shape, as name: String) -> Bool {
        graph.input.first { $0.name == name }?.fits(shape) ?? false
    }

    /// The outputs of these names for tensors by the names of inputs.
    ///
    /// - Throws: ``ArchitectureError/onnx(node:reason:)`` that names the node which graft cannot run,
    ///   ``ArchitectureError/outputs(_:selected:)`` for a name that is none.
    package func run(_ feed: ONNXFeed, outputs names: [String]) throws -> [Tensor] {
        var graph = graph
        for name in feed.inputs.keys.sorted()
        where !graph.input.contains(where: { $0.name == name }) {
            throw ArchitectureError.inputs(inputs, named: name)
        }
        graph.output = try names.map { name in
            guard let output = graph.output.first(where: { $0.name == name }) else {
                throw ArchitectureError.outputs(outputs, selected: name)
            }
            return output
        }
        ONNXImport.keepNeededNodes(in: &graph)
        var reader = try ONNXReader(
            graph, initializers: initializers, opset: opset, feed: feed)
        try reader.addAll()
        return try reader.results()
    }
}

extension ONNXReader {
    /// The values of the outputs, of which those that are computed are computed now.
    fileprivate mutating func results() throws -> [Tensor] {
        guard let feed else { return [] }
        var nodes: [Int] = []
        var places: [Int?] = []
        for output in proto.output {
            switch self[output.name] {
            case .constant: places.append(nil)
            case .node(let index):
                places.append(nodes.count)
                nodes.append(index)
            case .some(let value):
                places.append(nodes.count)
                nodes.append(
                    try operand(
                        of: ONNXNode(reading: value, named: output.name, opset: opset)))
            case nil:
                throw ArchitectureError.onnx(
                    node: output.name, reason: "no node of the file gives this output")
            }
        }
        let wanted = Set(nodes).subtracting(held.keys).sorted()
        var tensors = held
        for (index, tensor) in zip(wanted, try evaluate(wanted, with: feed)) {
            tensors[index] = tensor
        }
        return try zip(proto.output, places).map { output, place in
            if let place, let tensor = tensors[nodes[place]] { return tensor }
            guard case .constant(let tensor)? = self[output.name] else {
                throw ArchitectureError.onnx(
                    node: output.name, reason: ONNXFlaw.missing(.value).explanation)
            }
            return tensor
        }
    }
}

// The graph of an ONNX file that is read for images or tensors to come.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    /// The finished graph with its weights, and the size of image that the file says.
    mutating func finish() throws -> (graph: Graph, weights: StateDict, input: Extent) {
        var outputs: [NamedOutput] = []
        for output in proto.output {
            guard let value = self[output.name],
                case .node(let node) = try ordered(value, of: output.name)
            else {
                throw ArchitectureError.onnx(
                    node: output.name, reason: "the output is not what a layer yields")
            }
            outputs.append(NamedOutput(name: output.name, value: ValueID(node)))
        }
        guard let first = outputs.first else {
            throw ArchitectureError.onnx(
                node: proto.name, reason: ONNXFlaw.missing(.output).explanation)
        }
        var graph = try builder.finished(name: proto.name, output: first.value.node)
        if outputs.count > 1 { graph.outputs = outputs }
        let input = builder.shapes[0]
        graph = graph.rewritten()
        // What was traced with one image holds for any number of them.
        let takesImages = graph.inputCount == 1 && graph.inputChannels > 0
        if takesImages, graph.nodes.contains(where: { !$0.op.rule.treatsSamplesAlone }) {
            graph = try graph.forAnyBatch(input: input)
        }
        let (result, weights) = try bound(graph)
        return (result, weights, takesImages ? Extent(input[2], input[3]) : Extent(1, 1))
    }

    /// A value as a node of the graph has it.
    private mutating func ordered(_ value: ONNXValue, of name: String) throws -> ONNXValue {
        switch value {
        case .node, .constant: return value
        case .channelsLast, .split, .shuffled:
            return .node(try operand(of: ONNXNode(reading: value, named: name, opset: opset)))
        }
    }
}

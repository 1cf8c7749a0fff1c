// Sums, means and extremes over axes, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.Reduce: ExportableOp {
    private var operatorName: String {
        switch function {
        case .sum: "ReduceSum"
        case .mean: "ReduceMean"
        case .maximum: "ReduceMax"
        case .minimum: "ReduceMin"
        case .product: "ReduceProd"
        }
    }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        // The axes are an input from version 13 on for sums, from 18 on for the others.
        let keeps: ONNXGraph.Attributes = ["keepdims": .integer(keepsAxes ? 1 : 0)]
        guard function == .sum || ONNXExport.opset >= 18 else {
            return graph.emit(
                operatorName, at: site, attributes: keeps + ["axes": .integers(axes)])
        }
        let list = graph.constant(axes, name: site.name + ".axes")
        return graph.emit(operatorName, at: site, more: [list], attributes: keeps)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("a reduction over axes \(axes)")
    }

    /// A reduction over known axes; over all of them if none are named.
    static func readONNX(
        _ function: Function, _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let named = try node.integers("axes", orAt: 1) ?? []
        if named.isEmpty, node.integer("noop_with_empty_axes", or: 0) != 0 { return x }
        let axes =
            try named.isEmpty
            ? Array(0..<shape.rank) : named.map { try node.axis($0, rank: shape.rank) }.sorted()
        return try reader.emit(
            .reduce(function, axes: axes, keepsAxes: node.integer("keepdims", or: 1) != 0),
            for: node, reading: [x])
    }

    /// A reduction of a function of each number, and a function of the result: `ReduceL2` and its like.
    static func readONNX(
        _ function: Function, of inner: Op.Elementwise.Function?, squared: Bool = false,
        then outer: Op.Elementwise.Function?, _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        var x = try reader.operand(of: node)
        if squared {
            x = try reader.emit(.multiply, for: node, reading: [x, x], suffix: ".squares")
        }
        if let inner {
            x = try reader.emit(.elementwise(inner), for: node, reading: [x], suffix: ".inner")
        }
        var inputs = node.inputs
        inputs[0] = .node(x)
        let reduction = ONNXNode(proto: node.proto, opset: node.opset, inputs: inputs)
        let sum = try readONNX(function, reduction, in: &reader)
        guard let outer else { return sum }
        return try reader.emit(.elementwise(outer), for: node, reading: [sum], suffix: ".outer")
    }
}

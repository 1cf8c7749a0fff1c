// Attention whose scores and shares graphs of the file change.

import GraftNetworks
import GraftTensors

extension ONNXAttention {
    /// `FlexAttention`.
    static func readFlexible(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let (q, given, values) = (try node.value(), try node.value(at: 1), try node.value(at: 2))
        let shape = try reader.shape(of: q, for: node)
        guard shape.rank == 4 else { throw node.fail(.axes(shape)) }
        let k = try repeated(given, to: shape[1], for: node, in: &reader)
        let v = try repeated(values, to: shape[1], for: node, in: &reader)
        let scale =
            node.attribute("scale") == nil
            ? 1 / Float(shape[3]).squareRoot() : node.number("scale", or: 1)
        let turned = try reader.transpose(k, by: [0, 1, 3, 2], for: node)
        let product = try reader.apply("MatMul", to: q, turned, for: node)
        var scores = try reader.apply("Mul", to: product, .number(scale), for: node)
        scores = try ONNXControl.changed(scores, by: "score_mod", of: node, in: &reader)
        var shares = try reader.apply("Softmax", to: scores, with: ["axis": -1], for: node)
        shares = try ONNXControl.changed(shares, by: "prob_mod", of: node, in: &reader)
        return try reader.apply("MatMul", to: shares, v, for: node)
    }
}

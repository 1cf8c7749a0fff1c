// Losses of ONNX, as formulas.

import GraftNetworks
import GraftTensors

/// `NegativeLogLikelihoodLoss` and `SoftmaxCrossEntropyLoss`.
enum ONNXLosses {
    /// The loss of logarithms of probabilities.
    static func readLikelihood(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        try loss(of: try node.value(), node, in: &reader)
    }

    /// The loss of scores, and the logarithms of their probabilities.
    static func readEntropy(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let logarithms = try reader.apply(
            "LogSoftmax", to: node.inputs[0], with: ["axis": 1], for: node)
        return [try loss(of: logarithms, node, in: &reader), logarithms]
    }

    private static func loss(
        of logarithms: ONNXValue, _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let shape = try reader.shape(of: logarithms, for: node)
        guard shape.rank >= 2 else { throw node.fail(.axes(shape)) }
        let target = try reader.apply("Cast", to: try node.value(at: 1), with: ["to": 1], for: node)
        var isKept: ONNXValue?
        var index = target
        if node.attribute("ignore_index") != nil {
            let ignored = Float(node.integer("ignore_index", or: 0))
            let isIgnored = try reader.apply("Equal", to: target, .number(ignored), for: node)
            isKept = try reader.apply("Not", to: isIgnored, for: node)
            index = try reader.apply("Where", to: isIgnored, .number(0), target, for: node)
        }
        let column = try reader.apply("Unsqueeze", to: index, .integers([1]), for: node)
        let chosen = try reader.apply(
            "GatherElements", to: logarithms, column, with: ["axis": 1], for: node)
        var losses = try reader.apply(
            "Neg", to: try reader.apply("Squeeze", to: chosen, .integers([1]), for: node), for: node
        )
        var weights: ONNXValue?
        if node.inputs.count > 2, let given = node.inputs[2] {
            weights = try reader.apply("Gather", to: given, index, for: node)
        }
        if let isKept {
            let kept = try reader.apply("Cast", to: isKept, with: ["to": 1], for: node)
            weights = try weights.map { try reader.apply("Mul", to: $0, kept, for: node) } ?? kept
        }
        if let weights { losses = try reader.apply("Mul", to: losses, weights, for: node) }
        switch node.text("reduction") ?? "mean" {
        case "none": return losses
        case "sum":
            return try reader.apply("ReduceSum", to: losses, with: ["keepdims": 0], for: node)
        case "mean":
            let sum = try reader.apply("ReduceSum", to: losses, with: ["keepdims": 0], for: node)
            let count =
                try weights.map {
                    try reader.apply("ReduceSum", to: $0, with: ["keepdims": 0], for: node)
                } ?? .number(Float(shape.count / max(shape[1], 1)))
            return try reader.apply("Div", to: sum, count, for: node)
        case let other: throw node.fail("its reduction is `\(other)`")
        }
    }
}

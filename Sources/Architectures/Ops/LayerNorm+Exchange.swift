// Layer normalisation in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.LayerNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let weights = try graph.weights(at: site)
        guard axes == [1] else {
            // What is normalised must be the last axes.
            guard axes == Array((site.after.rank - axes.count)..<site.after.rank) else {
                throw site.fail("it normalises over axes \(axes) of \(site.after)")
            }
            return graph.emit(
                "LayerNormalization", at: site, more: weights,
                attributes: ["axis": .integer(axes[0]), "epsilon": .number(epsilon)])
        }
        let attributes: ONNXGraph.Attributes = ["axis": -1, "epsilon": .number(epsilon)]
        guard site.isMap else {
            return graph.emit(
                "LayerNormalization", at: site, more: weights, attributes: attributes)
        }
        let last = graph.emit(
            "Transpose", name: site.name + ".last", inputs: [site.x],
            attributes: ["perm": [0, 2, 3, 1]])
        let y = graph.emit(
            "LayerNormalization", name: site.name + ".normal", inputs: [last] + weights,
            attributes: attributes)
        return graph.emit(
            "Transpose", name: site.name, inputs: [y], attributes: ["perm": [0, 3, 1, 2]])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard axes == [1] else { throw site.unsupported("normalisation over axes \(axes)") }
        return model.layer(
            "LayerNormalization", at: site, config: ["axis": -1, "epsilon": .single(epsilon)],
            weights: try model.weights(of: site.node))
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let value = try node.value()
        let epsilon = node.number("epsilon", or: 1e-5)
        let scale = try node.requiredWeight(at: 1)
        let shift =
            try node.weight(at: 2)
            ?? ONNXWeight(
                name: scale.name + ".shift",
                tensor: Tensor(
                    [Float](repeating: 0, count: scale.tensor.count), shape: scale.tensor.shape))
        let weights = [scale, shift]
        if case .channelsLast(let x) = value, [-1, 3].contains(node.integer("axis", or: -1)) {
            let y = try reader.emit(
                .layerNorm(epsilon: epsilon), for: node, reading: [x], weights: weights)
            return .channelsLast(y)
        }
        let x = try reader.operand(of: node)
        let rank = reader.shape(of: x).rank
        let axis = try node.axis(node.integer("axis", or: -1), rank: rank)
        return .node(
            try reader.emit(
                .layerNorm(epsilon: epsilon, axes: Array(axis..<rank)), for: node, reading: [x],
                weights: weights))
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        try call.layer.requireScaleAndOffset()
        let epsilon = Float(try call.layer.number("epsilon", or: 1e-3))
        return try reader.add(.layerNorm(epsilon: epsilon), for: call)
    }
}

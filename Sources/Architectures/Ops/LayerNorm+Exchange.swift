// Layer normalisation in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.LayerNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let weights = try graph.weights(at: site)
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
        model.layer(
            "LayerNormalization", at: site, config: ["axis": -1, "epsilon": .single(epsilon)],
            weights: try model.weights(of: site.node))
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let weights = try [1, 2].map { try node.requiredWeight(at: $0) }
        let value = try node.value()
        let x: Int
        switch value {
        case .channelsLast(let index): x = index
        case .node(let index) where reader.builder.shapes[index].rank == 2: x = index
        default: throw node.fail("it is not over the channels")
        }
        guard [-1, reader.builder.shapes[x].rank - 1].contains(node.integer("axis", or: -1)) else {
            throw node.fail("it is not over the channels")
        }
        let op = Op.layerNorm(epsilon: node.number("epsilon", or: 1e-5))
        let y = try reader.emit(op, for: node, reading: [x], weights: weights)
        if case .channelsLast = value { return .channelsLast(y) }
        return .node(y)
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        guard call.layer.flag("scale", or: true), call.layer.flag("center", or: true) else {
            throw call.fail("it has no scale or no offset")
        }
        let epsilon = Float(try call.layer.number("epsilon", or: 1e-3))
        return try reader.add(.layerNorm(epsilon: epsilon), for: call)
    }
}

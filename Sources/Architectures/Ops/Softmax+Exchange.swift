// Softmax and vectors of length 1 in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Softmax: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("Softmax", at: site, attributes: ["axis": 1])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("Softmax", at: site, config: ["axis": -1])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { true }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try node.map()
        let shape = reader.builder.shapes[x]
        // Before opset 13 it was over all axes from this one on.
        let isOld = node.opset < 13
        let axis = node.integer("axis", or: isOld ? 1 : -1)
        guard [1, 1 - shape.rank].contains(axis), !isOld || shape[1] == shape.count / shape[0]
        else { throw node.fail("it is not over the channels") }
        return try reader.emit(.softmax, for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        return try reader.add(.softmax, for: call)
    }

    /// The function `softmax`.
    static func readKerasFunction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard (call.setting("axis") ?? .null) == .null || call.isOverChannels else { return nil }
        return try reader.add(.softmax, for: call)
    }
}

extension Op.UnitNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("LpNormalization", at: site, attributes: ["axis": 1, "p": 2])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("UnitNormalization", at: site, config: ["axis": -1])
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try node.map()
        guard node.integer("p", or: 2) == 2,
            [1, 1 - reader.builder.shapes[x].rank].contains(node.integer("axis", or: -1))
        else { throw node.fail("it is not of Euclidean length over the channels") }
        return try reader.emit(.unitNorm, for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        return try reader.add(.unitNorm, for: call)
    }

    /// The function `l2_normalize`.
    static func readKerasFunction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard call.isOverChannels else { return nil }
        return try reader.add(.unitNorm, for: call)
    }
}

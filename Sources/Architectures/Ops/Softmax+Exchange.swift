// Softmax and vectors of length 1 in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Softmax: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            isLogarithmic ? "LogSoftmax" : "Softmax", at: site, attributes: ["axis": .integer(axis)]
        )
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard axis == 1, !isLogarithmic else { throw site.unsupported("softmax over axis \(axis)") }
        return model.layer("Softmax", at: site, config: ["axis": -1])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { !isLogarithmic }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let shape = reader.builder.shapes[x]
        // Before opset 13 it was over all axes from this one on.
        let isOld = node.opset < 13
        let axis = try node.axis(node.integer("axis", or: isOld ? 1 : -1), rank: shape.rank)
        let op = Op.softmax(axis: axis, isLogarithmic: node.type == "LogSoftmax")
        guard isOld, shape.dimensions[(axis + 1)...].contains(where: { $0 != 1 }) else {
            return try reader.emit(op, for: node, reading: [x])
        }
        let rows = shape.dimensions[..<axis].reduce(1, *)
        let flat = try reader.emit(.view([rows, -1]), for: node, reading: [x], suffix: ".rows")
        let shares = try reader.emit(
            .softmax(axis: 1, isLogarithmic: node.type == "LogSoftmax"), for: node,
            reading: [flat], suffix: ".shares")
        return try reader.emit(.view(shape.dimensions), for: node, reading: [shares])
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
        let x = try reader.operand(of: node)
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

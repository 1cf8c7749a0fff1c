// Values joined along an axis in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Concatenate: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("Concat", at: site, attributes: ["axis": .integer(axis)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard axis == 1 else { throw site.unsupported("values joined along axis \(axis)") }
        return model.layer("Concatenate", at: site, config: ["axis": -1])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let inputs = try reader.operands(of: node, count: node.inputs.count)
        guard let first = inputs.first else { throw node.readsNothing }
        let axis = try node.axis(
            node.integer("axis", or: 1), rank: reader.builder.shapes[first].rank)
        return inputs.count == 1
            ? first : try reader.emit(.concatenate(axis: axis), for: node, reading: inputs)
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        return try joined(call, in: &reader)
    }

    /// The functions `concat` and `concatenate`.
    static func readKerasFunction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard call.isOverChannels else { return nil }
        return try joined(call, in: &reader)
    }

    /// The function `stack` of single channels, put together again.
    static func readKerasStack(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let axis = call.setting("axis")?.integer ?? 0
        guard axis == -1 || axis == 3, call.inputs.allSatisfy(reader.planes.contains) else {
            return nil
        }
        return try joined(call, in: &reader)
    }

    /// The function `expand_dims` of a single channel: an axis of channels.
    static func readKerasExpansion(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard reader.planes.contains(call.x), [-1, 3].contains(call.setting("axis")?.integer ?? 0)
        else { return nil }
        return try reader.add(.affine(scale: [1], shift: [0]), for: call)
    }

    private static func joined(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        call.inputs.count == 1
            ? call.x : try reader.add(.concatenate, for: call, reading: call.inputs)
    }
}

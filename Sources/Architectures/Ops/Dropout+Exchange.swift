// What only training does, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Dropout: ExportableOp {
    /// A model that answers drops nothing.
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String { site.x }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("Dropout", at: site, config: ["rate": .number(Double(rate))])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    /// `Dropout`: nothing when a model answers; its mask keeps all.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let value = try node.value()
        if node.inputs.count > 2, let isTraining = try node.tensor(at: 2)?.doubles.first,
            isTraining != 0, try node.tensor(at: 1)?.doubles.first ?? 0.5 != 0
        {
            throw node.fail(.beyond(.dropping))
        }
        guard node.outputCount > 1 else { return [value] }
        let shape = try reader.shape(of: value, for: node)
        try reader.spend(shape.count, on: node)
        return [value, .truths([Bool](repeating: true, count: shape.count), shape: shape)]
    }

    /// Every kind of dropout: none does anything when a model answers.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let rate = try call.layer.number("rate", or: 0.5)
        guard (0..<1).contains(rate) else { throw call.fail("its rate is \(rate)") }
        return try reader.add(.dropout(rate: Float(rate)), for: call)
    }
}

extension Op.DropPath: ExportableOp {
    /// A model that answers drops nothing.
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String { site.x }

    /// A `Dropout` of whole samples.
    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer(
            "Dropout", at: site,
            config: ["rate": .number(Double(rate)), "noise_shape": [nil, 1, 1, 1]])
    }
}

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

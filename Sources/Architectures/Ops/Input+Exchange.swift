// Where images enter, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Input: ExportableOp {
    /// The input is a value of the model, not an operator.
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String { site.x }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        let shape = site.after
        return model.layer(
            "InputLayer", at: site, reading: [],
            config: [
                "batch_shape": [
                    nil, .integer(shape[2]), .integer(shape[3]), .integer(shape[1]),
                ], "sparse": false, "ragged": false,
            ])
    }
}

// TFLite -> Graph: the whole file.

package import GraftNetworks
package import GraftSchemas
package import GraftTensors

/// Reads a TensorFlow Lite model as a graph with weights.
package enum TFLiteImport {
    /// The network, its weights and the size of image that it was made for. `select` names the output
    /// to take, of a model with several.
    ///
    /// Weights are single precision: half precision and integers become what they stand for. Maps are
    /// (N, C, H, W). A value that the file has as integers is kept within what they can hold, and not
    /// rounded.
    ///
    /// - Throws: ``ArchitectureError/tflite(operator:reason:)`` that names what graft cannot run.
    package static func read(
        _ model: TFLiteModel, select: String? = nil
    ) throws -> TFLiteNetwork {
        var reader = TFLiteReader(model)
        try reader.addInputs()
        for (number, step) in model.steps.enumerated() {
            try reader.add(TFLiteCall(step: step, number: number, in: model))
        }
        try reader.addOutputs()
        do {
            let (graph, weights, input) = try reader.draft.finish(named: "tflite", select: select)
            var network = TFLiteNetwork(graph: graph, weights: weights, input: input)
            network.labels = model.metadata.labels
            network.properties = model.properties
            let (mean, deviation) = (model.metadata.mean, model.metadata.deviation)
            if !mean.isEmpty, (mean + deviation).allSatisfy(\.isFinite),
                deviation.allSatisfy({ $0 > 0 })
            {
                network.normalization = (mean.map(Double.init), deviation.map(Double.init))
            } else if let pixels = pixels(of: model) {
                network.normalization = pixels
                network.takesPixels = true
            }
            return network
        } catch let error as ArchitectureError {
            guard case .onnx(let node, let reason) = error else { throw error }
            throw ArchitectureError.tflite(operator: node, reason: reason)
        }
    }
}

extension TFLiteImport {
    /// The arithmetic by which pixels of 0 to 255 are the bytes of the input; nil if it has no bytes.
    private static func pixels(
        of model: TFLiteModel
    ) -> (mean: [Double], deviation: [Double])? {
        guard let port = model.inputs.first else { return nil }
        let entry = model.tensors[port.tensor]
        let least: Double
        switch entry.dtype {
        case .u8: least = 0
        case .i8: least = -128
        default: return nil
        }
        guard let quantization = entry.quantization, let scale = quantization.scales.first,
            let zero = quantization.zeroPoints.first, scale.isFinite, scale > 0,
            entry.shape.count == 4, let channels = entry.shape.last, 1...4 ~= channels
        else { return nil }
        return (
            mean: [Double](repeating: Double(zero) - least, count: channels),
            deviation: [Double](repeating: 1 / Double(scale), count: channels)
        )
    }
}

/// A network that a TFLite file describes.
package struct TFLiteNetwork {
    package var graph: Graph
    package var weights: StateDict
    /// The size of image that it was made for.
    package var input: Extent
    /// The names of the classes.
    package var labels: [String] = []
    /// Properties of a model that graft wrote.
    package var properties: [String: String] = [:]
    /// The mean and the divisor by channel that make pixels of 0 to 255 the input.
    package var normalization: (mean: [Double], deviation: [Double])?
    /// Whether that is the quantisation of an input of bytes, which are taken for pixels.
    package var takesPixels = false
}

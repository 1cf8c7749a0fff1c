// Graph -> TFLite, with the operators that every interpreter has.

package import GraftNetworks
package import GraftSchemas
package import GraftTensors

/// Writes a network with its weights as a TensorFlow Lite model.
package enum TFLiteExport {
    /// The metadata of a model.
    package struct Metadata {
        /// The names of the classes.
        package var labels: [String] = []
        /// The mean and the divisor by channel that make pixels of 0 to 255 the input.
        package var normalization: (mean: [Double], deviation: [Double])?
        /// Properties that graft reads when it opens the model again.
        package var properties: [(key: String, value: String)] = []
        package var licence = ""

        package init() {}
    }

    /// The model for images of height and width `input`, channels last. Weights in half precision are
    /// stored so and widened by the model.
    ///
    /// - Throws: ``ArchitectureError/tflite(operator:reason:)`` that names what TFLite does not have.
    package static func model(
        _ graph: Graph, weights: StateDict, input: Extent, metadata: Metadata = Metadata()
    ) throws -> TFLiteModel {
        guard case .input(let entry) = graph.nodes.first?.op else {
            throw NetworkError.inputMissing
        }
        let types = try graph.types(
            inputs: [ValueType([1, entry.channels, input.height, input.width])])
        func shape(of value: ValueID) -> Shape { types[value.node][value.output].shape }
        var readers: [ValueID: Int] = [ValueID(graph.output): 1]
        for node in graph.nodes { for value in node.reads { readers[value, default: 0] += 1 } }
        var written = TFLiteGraph(weights: weights, readers: readers)
        written.isAnyBatch = graph.nodes.allSatisfy { node in
            if case .convTranspose2d = node.op { return false }
            return node.op.rule.treatsSamplesAlone
        }
        let first = written.input(
            named: "input", shape: [1, input.height, input.width, entry.channels])
        written.set(.last(first), for: ValueID(0))
        for (index, node) in graph.nodes.enumerated().dropFirst() {
            let site = TFLiteSite(
                node: node, shapes: node.reads.map(shape), results: types[index].map(\.shape))
            for (output, value) in try node.op.exportable.write(at: site, to: &written).enumerated()
            {
                written.set(value, for: ValueID(index, output: output))
            }
        }
        let output = try written.last(ValueID(graph.output))
        written.output(output, named: "output")
        written.describe { model in
            model.description = graph.name
            model.metadata.name = graph.name
            model.metadata.labels = metadata.labels
            model.metadata.licence = metadata.licence
            if let (mean, deviation) = metadata.normalization {
                model.metadata.mean = mean.map { Float($0) }
                model.metadata.deviation = deviation.map { Float($0) }
            }
            model.properties = Dictionary(metadata.properties.map { ($0.key, $0.value) }) { $1 }
        }
        return written.model
    }
}

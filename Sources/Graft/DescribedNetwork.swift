// Networks that their own file describes: ONNX, TFLite and torch.export's programs.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftFormats
internal import GraftImages
package import GraftNetworks
package import GraftTensors

/// A network as its file describes it, with what the file says of its images and answers.
struct DescribedNetwork {
    var graph: Graph
    var weights: StateDict
    /// The size of image that it was made for.
    var input: Extent
    /// Properties in the file's metadata.
    var properties: [String: String] = [:]
    /// The arithmetic from pixels to the input; nil if the file states none.
    var normalization: Normalization?
    /// Statements on what was taken or assumed.
    var notes: [String] = []

    /// The network in the file at `path`, whose tensors are `state`; nil if its format describes none.
    ///
    /// - Throws: ``ArchitectureError`` that names what graft cannot run.
    init?(
        at path: String, state: StateDict, select: String?, keepsOutputs: Bool = false
    ) throws {
        switch try Checkpoint.kind(of: path) {
        case .onnx:
            (graph, weights, input, properties) = try ONNXImport.read(
                path, initializers: state, select: select, keepsOutputs: keepsOutputs)
        case .tflite:
            let network = try TFLiteImport.read(
                try TFLiteFile.model(at: path, weights: state), select: select)
            (graph, weights, input) = (network.graph, network.weights, network.input)
            properties = network.properties
            if !network.labels.isEmpty, properties[Model.Property.labels] == nil {
                properties[Model.Property.labels] = String(
                    decoding: try JSONEncoder().encode(network.labels), as: UTF8.self)
            }
            if let (mean, deviation) = network.normalization {
                normalization = Normalization(scale: 1, mean: mean, std: deviation)
                    .forChannels(graph.inputChannels)
            }
            if network.takesPixels {
                notes = ["assumed: the bytes of its input are pixels; `--preprocess` sets it"]
            }
        case .exportedProgram:
            (graph, weights, input) = try ExportedProgramImport.read(
                try ExportedProgramFile.program(at: path), weights: state, select: select)
        case .safetensors, .hdf5, .torch, .npy, .npz, .keras, .shards, .tensorflow: return nil
        }
        weights.remarks = state.remarks
    }
}

extension Models {
    /// The network that the file at `path` describes itself, and the size of image that it was made for;
    /// nil if its format describes none.
    package static func network(
        at path: String, state: StateDict, select: String?
    ) throws -> (graph: Graph, input: Extent)? {
        try DescribedNetwork(at: path, state: state, select: select).map { ($0.graph, $0.input) }
    }
}

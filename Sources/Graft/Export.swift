// Writing models and weights in other programs' formats.

internal import GraftArchitectures
internal import GraftFormats
internal import GraftImages
internal import GraftNetworks
public import GraftTensors
internal import OrderedCollections

/// The formats that graft writes.
public enum OutputFormat: String, Sendable, CaseIterable {
    /// graft's own: safetensors with graph, input, labels and source.
    case native
    /// Weights alone, for any safetensors reader.
    case safetensors
    /// A NumPy archive.
    case npz
    /// What `torch.load(weights_only=True)` reads.
    case torch
    /// Keras' legacy HDF5, with the configuration where the network is known.
    case kerasH5 = "keras-h5"
    /// Keras 3's `.weights.h5`.
    case kerasWeights = "keras-weights"
    /// Keras 3's `.keras`.
    case keras
    /// ONNX, opset 20.
    case onnx

    /// Whether it says what the network is, so that it needs one.
    public var needsNetwork: Bool {
        switch self {
        case .native, .kerasWeights, .keras, .onnx: true
        case .safetensors, .npz, .torch, .kerasH5: false
        }
    }
}

extension StateDict {
    /// The same weights with floating-point numbers of another type; integers stay as they are.
    public func converted(to dtype: DType?) -> StateDict {
        guard let dtype else { return self }
        var result = self
        for (name, tensor) in tensors where tensor.dtype.isFloatingPoint {
            result[name] = tensor.converted(to: dtype)
        }
        return result
    }

    /// Writes weights in a format that needs no network, names and axes as they are. Gives the
    /// paths of what was written.
    public func write(to path: String, as format: OutputFormat, shardByteCount: Int? = nil) throws
        -> [String]
    {
        switch format {
        case .safetensors, .native:
            return try Safetensors.write(self, to: path, shardByteCount: shardByteCount ?? .max)
        case .npz: try Npz.write(self, to: path)
        case .torch: try TorchWriter.write(self, to: path)
        case .kerasH5: try KerasWriter.writeLegacy(self, to: path)
        case .kerasWeights, .keras, .onnx:
            throw ModelError.unusable(
                path, reason: "the format \(format.rawValue) needs a network",
                hint: "name it with `--architecture`")
        }
        return [path]
    }
}

extension Model {
    /// The model without its classifier; its output is the embedding.
    public func withoutHead() throws -> Model {
        var model = self
        model.graph = try graph.withoutHead()
        model.weights.tensors = [:]
        for parameter in model.graph.parameters {
            model.weights[parameter.name] = weights[parameter.name]
        }
        model.labels = []
        return model
    }

    /// Writes the model in another program's format; with preprocessing, an ONNX model takes RGB
    /// values of 0…255. Gives the paths of what was written.
    public func write(
        to path: String, as format: OutputFormat, dtype: DType? = nil, shardByteCount: Int? = nil,
        withPreprocessing: Bool = false
    ) throws -> [String] {
        var model = self
        model.weights = weights.converted(to: dtype)
        switch format {
        case .native: try model.write(to: path, durably: false)
        case .safetensors, .npz, .torch:
            return try Architectures.published(model.weights, of: graph.name).write(
                to: path, as: format, shardByteCount: shardByteCount)
        case .kerasH5:
            let (config, layers) = try model.keras()
            try KerasWriter.writeLegacy(layers, config: config, to: path)
        case .onnx:
            let bytes = try ONNXExport.bytes(
                graph, weights: weights, input: Extent(preprocessing.height, preprocessing.width),
                preprocessing: withPreprocessing ? onnxInput() : nil)
            var file = try AtomicFile(replacing: path)
            try file.write(bytes)
            try file.commit(durably: false)
        case .kerasWeights: try KerasWriter.writeWeights(try model.keras().layers, to: path)
        case .keras:
            let (config, layers) = try model.keras()
            try KerasWriter.writeArchive(layers, config: config, to: path)
        }
        return [path]
    }

    private func onnxInput() -> ONNXExport.Input {
        let it = preprocessing.normalization
        return ONNXExport.Input(
            sources: it.channels == .rgb ? [0, 1, 2] : [2, 1, 0],
            scale: it.std.map { Float(it.scale / $0) },
            shift: zip(it.mean, it.std).map { Float(-$0 / $1) })
    }

    private func keras() throws -> (config: String, layers: [KerasLayer]) {
        let export = try KerasExport(
            graph, weights: weights,
            input: Extent(preprocessing.height, preprocessing.width))
        func layer(_ it: KerasExport.Layer) -> KerasLayer {
            KerasLayer(
                name: it.name, className: it.className, weights: it.weights,
                inner: it.inner.map(layer))
        }
        return (export.config, export.layers.map(layer))
    }
}

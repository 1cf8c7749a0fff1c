// Writing models and weights in other programs' formats.

internal import GraftArchitectures
internal import GraftFormats
internal import GraftImages
internal import GraftNetworks
public import GraftTensors
public import GraftTraining
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
    /// TensorFlow Lite, with the metadata that its tasks and MediaPipe's read.
    case tflite

    /// Whether it says what the network is, so that it needs one.
    public var needsNetwork: Bool {
        switch self {
        case .native, .kerasWeights, .keras, .onnx, .tflite: true
        case .safetensors, .npz, .torch, .kerasH5: false
        }
    }
}

/// What goes into an export besides the network.
public struct ExportOptions: Sendable {
    /// The type of floating-point numbers; as they are where nil.
    public var dtype: DType?
    /// The largest safetensors file; nil for one of any size.
    public var shardByteCount: Int?
    /// Whether the way from pixels to probabilities is part of the network. An ONNX model then takes
    /// uint8 images (N, H, W, 3) of any size; a Keras or TFLite model takes colours of 0 to 255 of
    /// its size.
    public var withPreprocessing = false
    /// The function of the outputs that becomes a layer of the network.
    public var activation = OutputActivation.none
    /// Whether BatchNorm is folded into the layers before it.
    public var folds = false

    /// The network as it is.
    public init() {}
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
        case .kerasWeights, .keras, .onnx, .tflite:
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
        (model.labels, model.thresholds) = ([], [])
        model.neighbours = nil
        model.activation = nil
        model.task = .ofShares
        return model
    }

    /// Writes the model in another program's format. Gives the paths of what was written.
    ///
    /// - Throws: `ModelError.unusable` if the format cannot hold what the model is.
    public func write(
        to path: String, as format: OutputFormat, options: ExportOptions = ExportOptions()
    ) throws -> [String] {
        try requireHead(in: format)
        // TFLite has no BatchNorm.
        var model = try options.folds || format == .tflite ? folded() : self
        let writesNetwork = format.needsNetwork || format == .kerasH5
        if options.activation != .none {
            model = try model.withProbabilities(options.activation)
        } else if options.withPreprocessing, writesNetwork, model.neighbours == nil,
            task.traits.hasProbabilities, graph.ending != .features
        {
            let function = model.probabilityFunction
            if function != .none { model = try model.withProbabilities(function) }
        }
        if options.withPreprocessing, format != .onnx, writesNetwork {
            model = try model.withPreprocessingLayers()
        }
        model.weights = model.weights.converted(to: options.dtype)
        switch format {
        case .native: try model.write(to: path, durably: false)
        case .safetensors, .npz, .torch:
            var published = Architectures.published(model.weights, of: graph.name)
            if format == .torch, let version = Architectures.torchVersion(of: graph.name) {
                published.metadata[TorchWriter.versionKey] = String(version)
            }
            return try published.write(
                to: path, as: format, shardByteCount: options.shardByteCount)
        case .kerasH5:
            let (config, layers) = try model.keras()
            try KerasWriter.writeLegacy(
                layers, config: config, to: path, properties: try model.kerasProperties(options))
        case .onnx:
            let bytes = try ONNXExport.bytes(
                model.graph, weights: model.weights,
                input: Extent(preprocessing.height, preprocessing.width),
                preprocessing: options.withPreprocessing ? try onnxInput() : nil,
                metadata: try model.onnxProperties(options))
            var file = try AtomicFile(replacing: path)
            try file.write(bytes)
            try file.commit(durably: false)
        case .tflite:
            let file = try TFLiteExport.model(
                model.graph, weights: model.weights,
                input: Extent(preprocessing.height, preprocessing.width),
                metadata: try model.tfliteMetadata(options))
            try TFLiteFile.write(file, to: path)
        case .kerasWeights: try KerasWriter.writeWeights(try model.keras().layers, to: path)
        case .keras:
            let (config, layers) = try model.keras()
            try KerasWriter.writeArchive(
                layers, config: config, to: path, properties: try model.kerasProperties(options))
        }
        return [path]
    }

    /// Throws if the head asks stored images and the format has no room for them.
    private func requireHead(in format: OutputFormat) throws {
        guard let neighbours, format != .native else { return }
        throw ModelError.unusable(
            graph.name,
            reason: "its head compares an image with \(neighbours.labels.count) stored ones (knn), "
                + "which \(format.rawValue) cannot hold",
            hint: "export the backbone alone with `--notop`, or train with `--head linear`")
    }

    /// What is said of the input and the outputs of an ONNX file.
    private func onnxProperties(_ options: ExportOptions) throws -> [(key: String, value: String)] {
        let note =
            options.withPreprocessing
            ? "uint8 (batch, height, width, 3), RGB, any size; resized, cropped and normalised inside"
            : "float32 (batch, channels, height, width), prepared as `input` says"
        return try properties(
            input: preprocessing, inputNote: note, activation: remainingActivation)
    }

    /// The metadata of a TFLite file. The schema has images whose channels are red first, or grey:
    /// others are described by graft's own properties alone.
    private func tfliteMetadata(_ options: ExportOptions) throws -> TFLiteExport.Metadata {
        var metadata = TFLiteExport.Metadata()
        metadata.labels = labels
        metadata.licence = source.licence ?? ""
        metadata.properties = try properties(
            input: preprocessing,
            inputNote: options.withPreprocessing
                ? "0 to 255 (batch, height, width, channels), resized; normalised inside"
                : "float32 (batch, height, width, channels), prepared as `input` says",
            activation: remainingActivation)
        let it = preprocessing.normalization
        if it.channels == .rgb || it.channels == .grey {
            metadata.normalization = (
                it.mean.map { $0 / it.scale }, it.std.map { $0 / it.scale }
            )
        }
        return metadata
    }

    private func kerasProperties(_ options: ExportOptions) throws -> String {
        let note =
            options.withPreprocessing
            ? "0 to 255 (batch, height, width, channels), resized; normalised inside"
            : "(batch, height, width, channels), prepared as `input` says"
        return try propertyText(
            try properties(input: preprocessing, inputNote: note, activation: remainingActivation))
    }

    /// What is still to be applied to the outputs of the network as it is.
    private var remainingActivation: OutputActivation {
        endingFunction == .none ? probabilityFunction : .none
    }

    private func onnxInput() throws -> ONNXExport.Input {
        try requireImages()
        let it = preprocessing.normalization
        let kernel: ONNXExport.Input.Kernel
        switch preprocessing.kernel {
        case .nearest: kernel = .nearest
        case .bilinear: kernel = .triangle
        case .bicubic: kernel = .cubic
        case .tensorflowBilinear: kernel = .fourNeighbours
        case .lanczos: kernel = .lanczos
        }
        let resize: ONNXExport.Input.Resize =
            switch (preprocessing.resize, preprocessing.shorterSide) {
            case (.shorterSide, let side?): .shorterSide(side)
            case (_, let side?): .sides(height: side, width: side)
            case (_, nil): .sides(height: preprocessing.height, width: preprocessing.width)
            }
        var input = ONNXExport.Input(
            resize: resize, kernel: kernel, sources: it.sources,
            scale: it.std.map { Float(it.scale / $0) },
            shift: zip(it.mean, it.std).map { Float(-$0 / $1) })
        input.cropsDown = preprocessing.cropRounding == .down
        return input
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

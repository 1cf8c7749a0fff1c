// `graft convert`: any weight file to the native model, or to another program's format.

public import ArgumentParser
public import Graft
import GraftNetworks
import GraftTensors
import GraftTraining

extension OutputFormat: ExpressibleByArgument {}

struct ConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Convert weights: to a native model, or to what another program reads.",
        discussion: """
            graft convert resnet50_weights.h5 -o resnet50.safetensors
            graft convert model.safetensors -o model.keras
            graft convert model.safetensors --with-preprocessing --card -o model/model.onnx
            graft convert big.safetensors --to safetensors --dtype f16 --shard-size 2GB -o half.safetensors

            safetensors, npz, torch and keras-h5 take the tensors of any file, names and axes as they \
            are; the others, --notop and --architecture need a network that graft knows.
            """)

    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case f32, f16, bf16
        var dtype: DType {
            switch self {
            case .f32: .f32
            case .f16: .f16
            case .bf16: .bf16
            }
        }
    }

    @Argument(help: "A registry name, a reference or a weight file.") var reference: String
    @Option(name: .shortAndLong, help: "Where to write.") var output: String
    @Option(
        help: ArgumentHelp(
            "The format to write (default: by the extension of the output).",
            discussion: """
                .onnx, .tflite, .keras, .h5, .weights.h5, .npz, .pth and .pt say it; anything else is a \
                native model.
                """)) var to: OutputFormat?
    @Option(help: "The type of floating-point numbers; as they are by default.")
    var dtype: Precision?
    @Flag(help: "Leave off the classifier.") var notop = false
    @Option(help: "Split safetensors into files of at most this size: 5GB, 500MB.")
    var shardSize: ByteSize?
    @Flag(
        help: ArgumentHelp(
            "Embed preprocessing and probabilities in the model.",
            discussion: """
                An ONNX model takes uint8 images (N, H, W, 3) of any size and answers as `graft \
                predict`. A Keras or TFLite model takes values of 0 to 255 of its input size.
                """)) var withPreprocessing = false
    @Flag(help: "End in the softmax that makes probabilities of the scores.") var softmax = false
    @Flag(help: "End in the sigmoid that makes probabilities of the scores.") var sigmoid = false
    @Flag(help: "Fold BatchNorm into the layers before it.") var fold = false
    @Flag(help: "Write a model card, README.md, and labels.txt beside the output.") var card = false
    @Option(help: "The architecture, as `graft models` names it, where the file leaves doubt.")
    var architecture: String?
    @OptionGroup(title: "Model") var settings: ModelSettings
    @OptionGroup(title: "Model") var answers: AnswerSettings
    @Flag(help: "Print one JSON object instead of the path.") var json = false

    struct Answer: Encodable {
        let path: String
        let paths: [String]
        let format: String
        let architecture: String?
        let parameters: Int
        let tensors: Int
        let labels: Int
    }

    /// The format: what `--to` says, or the extension of the output.
    private var format: OutputFormat { to ?? OutputFormat(extensionOf: output) ?? .native }

    func validate() throws {
        if let to, let named = OutputFormat.formats(extensionOf: output), !named.contains(to) {
            throw ValidationError(
                "--to \(to.rawValue): `\(output)` has the extension of "
                    + named.map(\.rawValue).joined(separator: " or "))
        }
        let hasLayers = format.needsNetwork || format == .kerasH5
        guard !withPreprocessing || [.onnx, .tflite, .keras, .kerasH5].contains(format) else {
            throw ValidationError(
                "--with-preprocessing: only onnx, tflite, keras and keras-h5 have room for it")
        }
        guard !softmax || !sigmoid else {
            throw ValidationError("--softmax and --sigmoid exclude each other")
        }
        guard !softmax && !sigmoid && !fold || hasLayers else {
            throw ValidationError(
                "--softmax, --sigmoid and --fold change the network, which \(format.rawValue) does "
                    + "not hold")
        }
        guard format != .onnx || dtype == nil || dtype == .f32 else {
            throw ValidationError("--dtype: graft writes ONNX in f32 only")
        }
        guard format != .tflite || dtype != .bf16 else {
            throw ValidationError(
                "--dtype: TFLite holds f32 and f16")
        }
        guard shardSize == nil || format == .safetensors else {
            throw ValidationError("--shard-size: only --to safetensors has shards")
        }
    }

    func run() async throws {
        let overrides = try settings.overrides(task: answers.task)
        let answer = try await needsNetwork(overrides) ? convertModel() : convertWeights()
        Terminal.say(
            "\(answer.architecture ?? answer.format): \(answer.tensors) tensors, "
                + "\(grouped(answer.parameters)) parameters")
        Terminal.answer(json ? try JSON.line(answer) : answer.paths.joined(separator: "\n"))
    }

    private func needsNetwork(_ overrides: ModelOverrides) -> Bool {
        format.needsNetwork || notop || architecture != nil || withPreprocessing || softmax
            || sigmoid || fold || card || !overrides.isEmpty
    }

    private func convertModel() async throws -> Answer {
        if card { try ModelCard.check(beside: output) }
        var model = try await settings.open(
            reference, architecture: architecture, task: answers.task, backboneOnly: notop,
            keepsOutputs: format == .native && !notop && !softmax && !sigmoid && !withPreprocessing,
            progress: Progress.fetching(reference))
        if notop { model = try model.withoutHead() }
        if let note = model.task.presentation.exportNote, format != .native {
            Terminal.say("note: " + note)
        }
        var options = ExportOptions()
        options.dtype = dtype?.dtype
        options.shardByteCount = shardSize?.count
        options.withPreprocessing = withPreprocessing
        options.activation = softmax ? .softmax : sigmoid ? .sigmoid : .none
        options.folds = fold
        var paths = try model.write(to: output, as: format, options: options)
        if card {
            paths += try ModelCard(
                model, files: paths, format: format, options: options, reference: reference,
                command: (["graft"] + CommandLine.arguments.dropFirst()).map(shellQuoted)
                    .joined(separator: " ")
            ).write()
        }
        return Answer(
            path: output, paths: paths, format: format.rawValue, architecture: model.graph.name,
            parameters: model.graph.parameterCount, tensors: model.graph.parameters.count,
            labels: model.labels.count)
    }

    private func convertWeights() async throws -> Answer {
        let state = try await Models.weights(
            reference, stateDict: settings.stateDict, progress: Progress.fetching(reference))
        if format == .kerasH5, Models.hasNetwork(state) { return try await convertModel() }
        // PyTorch's own code loads it: in its publisher's shapes.
        if format == .torch, Models.isNative(state) { return try await convertModel() }
        let paths = try state.converted(to: dtype?.dtype).write(
            to: output, as: format, shardByteCount: shardSize?.count)
        return Answer(
            path: output, paths: paths, format: format.rawValue, architecture: nil,
            parameters: state.elementCount, tensors: state.count, labels: 0)
    }
}

extension OutputFormat {
    /// The formats that a file of this name can hold, the usual one first; nil for a name that says
    /// none.
    static func formats(extensionOf path: String) -> [OutputFormat]? {
        let name = (path.split(separator: "/").last ?? "").lowercased()
        let all: [(String, [OutputFormat])] = [
            (".weights.h5", [.kerasWeights, .kerasH5]), (".h5", [.kerasH5, .kerasWeights]),
            (".hdf5", [.kerasH5, .kerasWeights]), (".onnx", [.onnx]),
            (".tflite", [.tflite]), (".keras", [.keras]),
            (".npz", [.npz]), (".pth", [.torch]), (".pt", [.torch]), (".ckpt", [.torch]),
            (".bin", [.torch]), (".safetensors", [.native, .safetensors]),
        ]
        return all.first { name.hasSuffix($0.0) }?.1
    }

    /// The usual format of a file of this name.
    init?(extensionOf path: String) {
        guard let usual = Self.formats(extensionOf: path)?.first else { return nil }
        self = usual
    }
}

/// `500MB`, `5GB`, `1073741824`: powers of 1000, as `huggingface_hub` counts shards.
struct ByteSize: ExpressibleByArgument {
    let count: Int

    init?(argument: String) {
        let units: [(String, Int)] = [
            ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1), ("", 1),
        ]
        for (unit, factor) in units where argument.uppercased().hasSuffix(unit) {
            guard let number = Int(argument.dropLast(unit.count)), number > 0 else { return nil }
            let (count, overflow) = number.multipliedReportingOverflow(by: factor)
            guard !overflow else { return nil }
            self.count = count
            return
        }
        return nil
    }
}

// `graft convert`: any weight file to the native model, or to another program's format.

public import ArgumentParser
public import Graft
import GraftNetworks
import GraftTensors

extension OutputFormat: ExpressibleByArgument {}

struct ConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Convert weights: to a native model, or to what another program reads.",
        discussion: """
            graft convert resnet50_weights.h5 -o resnet50.safetensors
            graft convert model.safetensors --to keras -o model.keras
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
    @Option(help: "The format to write.") var to: OutputFormat = .native
    @Option(help: "The type of floating-point numbers; as they are by default.")
    var dtype: Precision?
    @Flag(help: "Leave off the classifier.") var notop = false
    @Option(help: "Split safetensors into files of at most this size: 5GB, 500MB.")
    var shardSize: ByteSize?
    @Flag(help: "Put the arithmetic on colours into an ONNX model: it takes RGB of 0 to 255.")
    var withPreprocessing = false
    @Option(help: "The architecture, as `graft models` names it, where the file leaves doubt.")
    var architecture: String?
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

    func validate() throws {
        guard !withPreprocessing || to == .onnx else {
            throw ValidationError("--with-preprocessing: only --to onnx has room for it")
        }
        guard to != .onnx || dtype == nil || dtype == .f32 else {
            throw ValidationError("--dtype: graft writes ONNX in f32 only")
        }
        guard shardSize == nil || to == .safetensors else {
            throw ValidationError("--shard-size: only --to safetensors has shards")
        }
    }

    func run() async throws {
        let answer = try await needsNetwork ? convertModel() : convertWeights()
        Terminal.say(
            "\(answer.architecture ?? answer.format): \(answer.tensors) tensors, "
                + "\(grouped(answer.parameters)) parameters")
        Terminal.answer(json ? try JSON.line(answer) : answer.paths.joined(separator: "\n"))
    }

    private var needsNetwork: Bool { to.needsNetwork || notop || architecture != nil }

    private func convertModel() async throws -> Answer {
        var model = try await Models.open(
            reference, architecture: architecture, progress: Progress.fetching(reference))
        if notop { model = try model.withoutHead() }
        let paths = try model.write(
            to: output, as: to, dtype: dtype?.dtype, shardByteCount: shardSize?.count,
            withPreprocessing: withPreprocessing)
        return Answer(
            path: output, paths: paths, format: to.rawValue, architecture: model.graph.name,
            parameters: model.graph.parameterCount, tensors: model.graph.parameters.count,
            labels: model.labels.count)
    }

    private func convertWeights() async throws -> Answer {
        let state = try await Models.weights(reference, progress: Progress.fetching(reference))
        if to == .kerasH5, Models.hasNetwork(state) { return try await convertModel() }
        // PyTorch's own code loads it: in its publisher's shapes.
        if to == .torch, Models.isNative(state) { return try await convertModel() }
        let paths = try state.converted(to: dtype?.dtype).write(
            to: output, as: to, shardByteCount: shardSize?.count)
        return Answer(
            path: output, paths: paths, format: to.rawValue, architecture: nil,
            parameters: state.elementCount, tensors: state.count, labels: 0)
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

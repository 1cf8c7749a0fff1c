// The options that say what a model's file does not: which output, its labels, and how images are prepared.

public import ArgumentParser
import FoundationEssentials
import Graft
import GraftImages
import GraftTensors
public import GraftTraining

extension OutputActivation: ExpressibleByArgument {}

/// Which output is taken, for commands that run a network on tensors.
struct OutputSelection: ParsableArguments {
    @Option(help: "The name of the output, of a Keras or ONNX model with several.")
    var select: String?

    /// The overrides of a model that these options are.
    var overrides: ModelOverrides {
        var overrides = ModelOverrides()
        overrides.select = select
        return overrides
    }
}

/// What a model's outputs answer, for commands that have no other `--task`.
struct AnswerSettings: ParsableArguments {
    @Option(
        help: "What the outputs answer: classification, multi-label, regression or embedding.",
        transform: answerTask)
    var task: LearningTask?

    @Sendable private static func answerTask(_ text: String) throws -> LearningTask {
        guard let task = LearningTask(rawValue: text), !task.traits.needsObjects else {
            throw ValidationError(
                "--task: expected classification, multi-label, regression or embedding, got "
                    + "`\(text)`")
        }
        return task
    }
}

/// What is said of a model that is opened to look at images.
struct ModelSettings: ParsableArguments {
    @OptionGroup var selection: OutputSelection
    @Option(
        help: "Which state dict of a checkpoint: its key, or what its names begin with (`ema`).")
    var stateDict: String?
    @Option(
        help: ArgumentHelp(
            "The names of the outputs: a file, or names separated by commas.",
            discussion: """
                A file has one name per line, or a JSON list or map. Their number must be that of the \
                outputs; a binary classifier takes two, that of probability 0 first.
                """)) var labels: String?
    @Option(
        help: ArgumentHelp(
            "Applied to the last layer's values: none, softmax or sigmoid.",
            discussion: """
                By default what the last layer says: its own softmax or sigmoid is never applied \
                twice, and several linear outputs are class scores.
                """)) var activation: OutputActivation?
    @Option(
        help: ArgumentHelp(
            "How pixel values are scaled: caffe, tf, torch, half, unit, clip, none, or a file.",
            discussion: """
                torch is also called imagenet. The file is a model's preprocessor_config.json, timm's \
                config.json, or graft's own JSON; docs/preprocessing.md defines them.
                """)) var preprocess: String?
    @Option(help: "The size of the input: `160`, or height and width as `160x224`.")
    var size: String?
    @Option(
        help: ArgumentHelp(
            "The crop: a fraction (0.875), the shorter side in pixels (256), or none.",
            discussion: """
                The shorter side of an image is resized so that the input is this fraction of it, or \
                to this many pixels, and the centre is cut out. none resizes both sides to the input.
                """)) var crop: String?
    @Option(
        help: "The resize kernel: nearest, bilinear, bicubic, lanczos or tensorflow-bilinear.")
    var interpolation: String?

    /// What these options say of a model.
    ///
    /// - Throws: `ValidationError` that names the option.
    func overrides(task: LearningTask? = nil) throws -> ModelOverrides {
        var overrides = ModelOverrides()
        overrides.select = selection.select
        overrides.task = task
        overrides.activation = activation
        overrides.labels = try labels.map { try Self.names($0) }
        var changes = PreprocessingChanges()
        if let size { changes.size = try Self.size(size) }
        if let crop { changes.crop = try Self.crop(crop) }
        if let interpolation {
            guard let kernel = Resampling(rawValue: interpolation) else {
                throw ValidationError(
                    "--interpolation: expected "
                        + Resampling.allCases.map(\.rawValue).joined(separator: ", ")
                        + ", got `\(interpolation)`")
            }
            changes.kernel = kernel
        }
        if let preprocess { changes = changes.over(try Self.preprocessing(preprocess)) }
        overrides.preprocessing = changes
        return overrides
    }

    /// The model that `reference` names, with what these options say of it; what was assumed or read
    /// beside the weights is said on stderr.
    func open(
        _ reference: String, architecture: String? = nil, task: LearningTask? = nil,
        backboneOnly: Bool = false, keepsOutputs: Bool = false, quiet: Bool = false,
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> Model {
        if !quiet { try Models.sayFile(of: reference) }
        var overrides = try overrides(task: task)
        overrides.keepsOutputs = keepsOutputs
        let model = try await Models.open(
            reference, architecture: architecture, stateDict: stateDict,
            backboneOnly: backboneOnly, overrides: overrides, progress: progress)
        if !quiet { Self.say(model.notes, of: reference) }
        return model
    }

    /// Says what was assumed or taken when a model was opened.
    static func say(_ notes: [String], of reference: String) {
        for note in notes { Terminal.say("note: `\(reference)`: \(note)") }
    }

    private static func names(_ text: String) throws -> [String] {
        if FileManager.default.fileExists(atPath: text) { return try LabelNames.read(text) }
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map { name in
            String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard names.count > 1 || !text.contains("/") && !text.hasSuffix(".txt") else {
            throw FileError("read", text, code: 2)
        }
        return names
    }

    private static func size(_ text: String) throws -> PreprocessingChanges.Size {
        let sides = text.split(separator: "x", omittingEmptySubsequences: false).map {
            Int($0) ?? 0
        }
        guard let first = sides.first, let last = sides.last, sides.count <= 2,
            sides.allSatisfy({ (1...16384).contains($0) })
        else {
            throw ValidationError("--size: expected 1 to 16384, or two as `160x224`, got `\(text)`")
        }
        return PreprocessingChanges.Size(height: first, width: last)
    }

    private static func crop(_ text: String) throws -> PreprocessingChanges.Crop {
        if text == "none" { return .none }
        if let side = Int(text), (2...16384).contains(side) { return .shorterSide(side) }
        guard let fraction = Double(text), fraction > 0, fraction <= 1 else {
            throw ValidationError(
                "--crop: expected a fraction above 0 and at most 1, 2 to 16384 pixels, or none, "
                    + "got `\(text)`")
        }
        return .fraction(fraction)
    }

    private static func preprocessing(_ text: String) throws -> PreprocessingChanges {
        if let preset = Normalization.presets[text] {
            return PreprocessingChanges(normalization: preset)
        }
        guard FileManager.default.fileExists(atPath: text) else {
            throw ValidationError(
                "--preprocess: expected caffe, tf, torch, imagenet, half, unit, clip, none or a "
                    + "file, got `\(text)`")
        }
        return try PreprocessingChanges(file: text)
    }
}

// What can be wrong with a training run.

public import GraftTensors

/// An error that stops a training run.
public enum TrainingError: Diagnostic, Equatable {
    /// A setting that makes no sense.
    case option(String, expected: String, found: String)
    /// A class of which no photo can be read; the first reason is kept.
    case noPhotos(of: String, reason: String?)
    /// No image with a value can be read; the first reason is kept.
    case noValues(reason: String?)
    /// No image that can be read shows an annotated object; the first reason is kept.
    case noObjects(reason: String?)
    /// The loss or a weight is no number any more.
    case diverged(Divergence)
    /// What the frozen part of the network makes of a photo is no number, or too large for one.
    case brokenFeatures(of: String, after: String)
    /// A number of a file of the run is none.
    case unwritable(String, at: String)
    /// `--resume` of a run without a checkpoint.
    case noCheckpoint(String)
    /// A checkpoint of another run: other photos, model or settings.
    case otherCheckpoint(String)
    /// A checkpoint that lacks something.
    case damagedCheckpoint(String, reason: String)
    /// A weight of the backbone is not there.
    case missingWeight(String)
    /// A weight of the backbone holds values that are no finite numbers, and so do `others`.
    case brokenWeights(String, found: Int, of: Int, others: Int, origin: String)
    /// The processes that train together cannot.
    case distributed(String, hint: String?)

    /// Throws ``option(_:expected:found:)`` unless the value of an option holds.
    static func require(
        _ holds: Bool, of name: String, _ expected: String, found: String
    ) throws(TrainingError) {
        guard holds else { throw .option(name, expected: expected, found: found) }
    }

    /// A head that a task cannot have.
    static func noSuchHead(_ head: Head, for task: LearningTask) -> TrainingError {
        .option(
            "head", expected: "linear or mlp for \(task.rawValue)",
            found: head == .logistic ? "logistic" : "knn")
    }

    /// What happened.
    public var message: String {
        switch self {
        case .option(let name, let expected, let found):
            "the \(name) is `\(found)`, expected \(expected)"
        case .noPhotos(let name, let reason):
            "no image of class `\(name)` can be learned from" + (reason.map { ": \($0)" } ?? "")
        case .noValues(let reason):
            "no image with a value can be learned from" + (reason.map { ": \($0)" } ?? "")
        case .noObjects(let reason):
            "no training image shows an annotated object" + (reason.map { ": \($0)" } ?? "")
        case .diverged(let divergence): divergence.description
        case .brokenFeatures(let path, let layer):
            "the values of `\(path)` after layer `\(layer)` are not all finite numbers"
        case .unwritable(let value, let place): "`\(place)` is \(value), which JSON cannot say"
        case .noCheckpoint(let path): "nothing to resume: there is no `\(path)`"
        case .otherCheckpoint(let path):
            "the checkpoint `\(path)` is of other photos, another model or other settings"
        case .damagedCheckpoint(let path, let reason):
            "the checkpoint `\(path)` is damaged: \(reason)"
        case .missingWeight(let name): "the backbone has no weight `\(name)`"
        case .brokenWeights(let name, let found, let count, let others, let origin):
            "\(found) of \(count) values of the weight `\(name)`"
                + (origin.isEmpty ? "" : " in `\(origin)`") + " are not finite numbers"
                + (others == 0 ? "" : ", and so in \(others) more of its weights")
        case .distributed(let reason, _): reason
        }
    }

    /// What sets what ``option(_:expected:found:)`` names, on the command line.
    private static let flags = [
        "number of epochs": "--epochs", "batch size": "--batch", "learning rate": "--learning-rate",
        "label smoothing": "--label-smoothing", "views to keep": "--cache-views",
        "accumulation": "--accumulate", "norm to clip at": "--clip", "averaging": "--ema",
        "mixup": "--mixup", "cutmix": "--cutmix", "epochs between stages": "--gradual",
        "decay by stage": "--stage-decay", "hidden units": "--hidden", "head": "--head",
        "dropout": "--dropout", "patience": "--patience", "warm-up": "--warmup",
        "momentum": "--momentum", "weight decay": "--weight-decay", "balance": "--balance",
        "number of stages to unfreeze": "--unfreeze", "stage to unfreeze from": "--unfreeze",
        "calibration": "--calibrate",
    ]

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .option(let name, _, _):
            Self.flags[name].map {
                "change \($0); `graft train --help` says what each option takes"
            }
        case .missingWeight: nil
        case .distributed(_, let hint): hint
        case .noPhotos, .noValues:
            "check that its images are where the table or the folders say and open in an image viewer"
        case .noObjects: "check the annotations with `graft data check DATA --task detection`"
        case .diverged(let divergence): divergence.hint
        case .brokenFeatures:
            "the backbone's weights are damaged or not what its network expects: `graft diff` compares them with another copy"
        case .brokenWeights:
            "the file is damaged, or what wrote it had diverged: fetch or convert it anew; `graft diff` compares it with another copy"
        case .unwritable: "what was learned from has values that are too large: scale them"
        case .noCheckpoint, .damagedCheckpoint: "start the run anew, without resuming"
        case .otherCheckpoint: "repeat the settings of that run, or start a new run folder"
        }
    }
}

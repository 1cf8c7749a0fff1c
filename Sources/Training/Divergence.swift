// Where a run left the numbers: what was no number any more, when, and what was seen before.

/// The place at which training stopped making sense.
public struct Divergence: Sendable, Hashable, Codable {
    /// What was found to be no number.
    public enum Subject: String, Sendable, Hashable, Codable {
        /// The loss of a batch.
        case loss
        /// The mean loss of the training photos.
        case trainingLoss = "training loss"
        /// The mean loss of the validation photos.
        case validationLoss = "validation loss"
        /// A weight, or a running statistic of BatchNorm.
        case weight
    }

    /// The epoch, counted from 1.
    public var epoch: Int
    /// The step in it, counted from 1; nil after the last one.
    public var step: Int?
    /// The steps of an epoch; nil where there are none.
    public var steps: Int?
    /// What was no number.
    public var subject: Subject
    /// What was there instead: `nan` or `inf`.
    public var found: String
    /// The loss of the batch before, or of the epoch before.
    public var before: Double?
    /// The learning rate of the last step; 0 before the first, and of a head that takes none.
    public var learningRate: Double
    /// The best epoch until then; nil if none was finished, and no checkpoint is there.
    public var best: Int?

    init(
        _ subject: Subject, _ value: Double, epoch: Int, step: Int? = nil, steps: Int? = nil,
        before: Double?, learningRate: Double, best: Int?
    ) {
        self.epoch = epoch
        self.step = step
        self.steps = steps
        self.subject = subject
        found = value.isNaN ? "nan" : "inf"
        self.before = before.flatMap { $0.isFinite ? $0 : nil }
        self.learningRate = learningRate
        self.best = best
    }

    /// What happened, in a sentence.
    var description: String {
        var place = "epoch \(epoch)"
        if let step, let steps { place += ", step \(step) of \(steps)" }
        if step == nil, steps != nil { place += ", after its last step" }
        let what = subject == .weight ? "a weight" : "the \(subject.rawValue)"
        var text = "training diverged in \(place): \(what) is \(found)"
        if let before {
            let when = step == nil || step == 1 ? "before" : "in the step before"
            text += ", \(when) the loss was \(Float(before))"
        }
        return text + (learningRate > 0 ? " (learning rate \(Float(learningRate)))" : "")
    }

    /// What to do about it.
    var hint: String {
        guard learningRate > 0 else {
            if epoch == 0 { return "the head that it starts from does not fit: --recipe finetune" }
            return step == 1
                ? "the backbone answers no numbers before anything is learned: its weights are damaged"
                : "the features differ too much in size: learn by steps, --head linear --clip 1"
        }
        let advice =
            "lower --learning-rate (`--find-rate` looks for one) or bound the steps, for example with --clip 1"
        guard let best else { return advice }
        return advice
            + "; epoch \(best), the best until then, is in the run's checkpoint.safetensors"
    }
}

/// That a run ended before its time, in its `metrics.json`.
public struct RunFailure: Sendable, Hashable, Codable {
    /// What happened.
    public var message: String
    /// What to do about it.
    public var hint: String?
    /// Where the numbers ended, if that is what happened.
    public var divergence: Divergence?
}

extension TrainingError {
    /// Whether all processes that train together meet it, at the same place.
    public var isCommon: Bool {
        switch self {
        case .diverged, .brokenFeatures, .brokenWeights: true
        default: false
        }
    }

    /// How a run folder says it.
    var failure: RunFailure {
        var failure = RunFailure(message: message, hint: hint)
        if case .diverged(let divergence) = self { failure.divergence = divergence }
        return failure
    }
}

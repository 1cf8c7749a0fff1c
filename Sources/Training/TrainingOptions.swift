// The settings of a training run and their defaults.

public import GraftImages

/// Which part of the network learns.
public enum TrainingMode: Sendable, Hashable, Codable {
    /// The new head alone: the backbone runs once per photo.
    case features
    /// The head and the last stages of the backbone; nil is all of it.
    case finetune(unfreeze: Int?)
}

/// What is put on the backbone.
public enum Head: Sendable, Hashable, Codable {
    /// A linear layer that learns by steps.
    case linear
    /// A linear layer at its optimum: L-BFGS, the penalty chosen on the validation photos.
    case logistic
    /// A hidden layer of this many units with ReLU, and a linear layer.
    case perceptron(hidden: Int)
    /// The nearest photos vote; nothing is learned but how many of them.
    case neighbours

    var isNeighbours: Bool { self == .neighbours }

    /// Whether it is learned in epochs, and not found at once.
    var hasEpochs: Bool { self != .logistic && !isNeighbours }

    /// The units of the hidden layer, if there is one.
    var hidden: Int? {
        if case .perceptron(let hidden) = self { hidden } else { nil }
    }
}

/// How the classes count while learning.
public enum ClassBalance: String, Sendable, Hashable, Codable, CaseIterable {
    /// Every photo alike.
    case none
    /// A photo's loss is weighted by one over its class's count, the mean weight being 1.
    case weights
    /// Classes are drawn alike, their photos with replacement.
    case sampling
}

/// The settings of a training run. A seed and these decide every number of it.
public struct TrainingOptions: Sendable, Hashable, Codable {
    /// Which part of the network learns.
    public var mode: TrainingMode
    /// How often every photo is looked at, at most.
    public var epochs: Int
    /// The number of photos per step.
    public var batchSize: Int
    /// The peak of the learning rate.
    public var learningRate: Double
    /// How the learning rate changes.
    public var schedule: Schedule
    /// Steps of linear warm-up before the schedule.
    public var warmupSteps: Int
    /// The optimiser.
    public var optimizer: Optimizer.Settings
    /// ε of label smoothing.
    public var labelSmoothing: Float
    /// The share of features that the head's dropout hides while learning.
    public var dropout: Float
    /// Epochs without a better validation accuracy until the run stops; 0 never stops early.
    public var patience: Int
    /// What every random choice is drawn from.
    public var seed: UInt64
    /// The share of photos that is kept back for validation; the caller's ``Split`` uses it.
    public var validationFraction: Double
    /// Whether photos are also learned mirrored, left to right.
    public var flip: Bool
    /// How photos are changed before they are learned from.
    public var augmentation = Augmentation()
    /// How many views of each photo are kept where the backbone is frozen, the photo itself among
    /// them; where it is not, every epoch makes its own.
    public var cacheViews: Int = 4
    /// How the frozen part's values are kept.
    public var cacheElement = FeatureCache.Element.f32
    /// What is put on the backbone.
    public var head: Head = .linear
    /// The stages that learn by name, from the first of them on; empty leaves it to ``mode``.
    public var unfreezeFrom: String?
    /// Epochs after which one more stage learns, the last first; 0 lets all learn at once.
    public var gradual: Int = 0
    /// The learning rate of a stage, as a share of that of the stage after it.
    public var stageDecay: Double = 1
    /// How the classes count.
    public var balance: ClassBalance = .none
    /// Whether BatchNorm, where it learns, normalises by the batch and moves its running statistics,
    /// as the optimiser's dialect does; else it is as in prediction, and its γ and β learn.
    public var trainsNorms = false
    /// Whether the layers that learn are computed as the sums that define them, and 3×3 convolutions never
    /// by transforms, which are faster and differ in the last digits.
    public var isExact = false
    /// Batches per step: their gradients are averaged.
    public var accumulate: Int = 1
    /// The largest norm of all gradients together; longer ones are shortened. 0 leaves them.
    public var clipNorm: Double = 0
    /// The share of the running mean of the weights that a step keeps; 0 keeps none.
    public var averaging: Double = 0
    /// α of mixup (arXiv:1710.09412); 0 mixes nothing.
    public var mixup: Double = 0
    /// Whether the head's scores are divided by the temperature that fits the validation photos best,
    /// once the best epoch is known (Guo et al. 2017).
    public var calibrates = false
    /// α of cutmix (arXiv:1905.04899); 0 cuts nothing.
    public var cutmix: Double = 0

    /// The defaults of a mode: Adam at 1e-3 for a head, SGD with momentum 0.9 at 1e-3 for more.
    public init(mode: TrainingMode = .features) {
        self.mode = mode
        let features = mode == .features
        epochs = features ? 30 : 10
        batchSize = features ? 32 : 16
        learningRate = 1e-3
        schedule = .constant
        warmupSteps = 0
        optimizer =
            features
            ? Optimizer.Settings(.adam, dialect: .torch)
            : Optimizer.Settings(.sgd, dialect: .torch, momentum: 0.9)
        labelSmoothing = 0
        dropout = 0
        patience = 5
        seed = 0
        validationFraction = 0.2
        flip = false
    }

    /// Throws ``TrainingError/option(_:expected:found:)`` for a value that makes no sense.
    public func validate() throws(TrainingError) {
        func check(
            _ holds: Bool, _ name: String, _ expected: String, _ found: any CustomStringConvertible
        ) throws(TrainingError) {
            guard holds else {
                throw .option(name, expected: expected, found: found.description)
            }
        }
        try check((1...1_000_000).contains(epochs), "number of epochs", "1 or more", epochs)
        try check((1...4096).contains(batchSize), "batch size", "1 to 4096", batchSize)
        try check(
            learningRate > 0 && learningRate.isFinite, "learning rate", "a number above 0",
            learningRate)
        try check(
            (0..<1).contains(labelSmoothing), "label smoothing", "0 or more and below 1",
            labelSmoothing)
        try check((1...256).contains(cacheViews), "views to keep", "1 to 256", cacheViews)
        try check((1...1024).contains(accumulate), "accumulation", "1 to 1024", accumulate)
        try check(
            clipNorm >= 0 && clipNorm.isFinite, "norm to clip at", "0 or more", clipNorm)
        try check((0..<1).contains(averaging), "averaging", "0 or more and below 1", averaging)
        try check((0...100).contains(mixup), "mixup", "0 to 100", mixup)
        try check((0...100).contains(cutmix), "cutmix", "0 to 100", cutmix)
        try check(gradual >= 0, "epochs between stages", "0 or more", gradual)
        try check(
            stageDecay > 0 && stageDecay <= 1, "decay by stage", "above 0, at most 1", stageDecay)
        if let hidden = head.hidden {
            try check((1...65536).contains(hidden), "hidden units", "1 to 65536", hidden)
        }
        if head == .logistic || head == .neighbours, mode != .features {
            throw .option(
                "head", expected: "linear or mlp when the backbone learns too",
                found: head == .logistic ? "logistic" : "knn")
        }
        try validateAugmentation()
        try check(
            validationFraction >= 0 && validationFraction < 1, "share of validation images",
            "0 or more and below 1", validationFraction)
        try check((0..<1).contains(dropout), "dropout", "0 or more and below 1", dropout)
        try check(patience >= 0, "patience", "0 or more", patience)
        try check((0...1_000_000_000).contains(warmupSteps), "warm-up", "0 or more", warmupSteps)
        try check(
            (0..<1).contains(optimizer.momentum), "momentum", "0 or more and below 1",
            optimizer.momentum)
        try check(
            optimizer.weightDecay >= 0 && optimizer.weightDecay.isFinite, "weight decay",
            "0 or more", optimizer.weightDecay)
        if case .finetune(let count?) = mode {
            try check(count >= 1, "number of stages to unfreeze", "1 or more", count)
        }
    }

    /// Amounts of changes are numbers that a change can have.
    private func validateAugmentation() throws(TrainingError) {
        let a = augmentation
        let amounts: [(String, Double, ClosedRange<Double>)] = [
            ("rotation", a.rotation, 0...360), ("zoom", a.zoom, 0...10),
            ("translation", a.translation, 0...10), ("crop", a.crop, 0...1),
            ("brightness", a.brightness, 0...100), ("contrast", a.contrast, 0...100),
            ("saturation", a.saturation, 0...100), ("noise", a.noise, 0...255),
            ("blur", a.blur, 0...100), ("erasing", a.erasing, 0...1),
        ]
        for (name, amount, range) in amounts where !range.contains(amount) {
            throw .option(
                name, expected: "\(range.lowerBound) to \(range.upperBound)", found: "\(amount)")
        }
    }

    /// Throws ``TrainingError/option(_:expected:found:)`` for a setting that a task has no use for.
    func validate(
        for task: LearningTask, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        let traits = task.traits
        if calibrates, !traits.hasProbabilities {
            throw .option(
                "calibration", expected: "none for \(traits.subject)", found: "calibrate")
        }
        if mixup > 0 || cutmix > 0, let reason = traits.refusesBlending {
            throw .option(
                "mixing of photos", expected: reason, found: mixup > 0 ? "mixup" : "cutmix")
        }
        try task.kind.validate(self, settings: settings)
    }

    /// Throws unless the head learns in epochs.
    func requireSteps(for task: LearningTask) throws(TrainingError) {
        guard !head.hasEpochs else { return }
        throw .noSuchHead(head, for: task)
    }

    /// Throws unless the head is linear and nothing changes the labels' weight: what tasks of boxes and
    /// masks have in common.
    func refuseExtras(expected: String) throws(TrainingError) {
        let extras: [(isGiven: Bool, name: String, found: String)] = [
            (labelSmoothing > 0, "label smoothing", "\(labelSmoothing)"),
            (balance != .none, "balance", balance.rawValue), (dropout > 0, "dropout", "\(dropout)"),
            (head != .linear, "head of another kind", "\(head)"),
        ]
        for extra in extras {
            try TrainingError.require(
                !extra.isGiven, of: extra.name, expected, found: extra.found)
        }
    }
}

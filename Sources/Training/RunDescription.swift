// What a run was told, for its folder, its report and comparisons with other runs.

public import GraftImages

/// What `run.json` says about a run: enough to repeat it.
public struct RunDescription: Codable, Sendable {
    /// The command line.
    public var command: String
    /// The network.
    public var architecture: String
    /// The digest of the file that its weights came from.
    public var modelDigest: String
    /// The settings.
    public var options: RunOptions
    /// How photos become inputs.
    public var preprocessing: Preprocessing
    /// The classes.
    public var classes: [String]
    /// What was learned.
    public var task: LearningTask
    /// The photos of each class that were learned from.
    public var trainingCounts: [Int]

    /// The part of the network that learns, in words.
    public var mode: String {
        switch options.mode {
        case .features: "features"
        case .finetune(let count):
            "finetune " + (options.unfreezeFrom ?? count.map { "\($0)" } ?? "all")
        }
    }

    /// What is put on the backbone, in words.
    public var head: String {
        switch options.head {
        case .linear: "linear"
        case .logistic: "logistic"
        case .perceptron(let hidden): "mlp \(hidden)"
        case .neighbours: "knn"
        }
    }

    /// How photos are changed before they are learned from, in words.
    private var changes: String {
        let told = options.augmentation
        func amount(_ words: String, _ value: Double) -> String? {
            value > 0 ? "\(words) \(value)" : nil
        }
        let words = [
            options.flip || told.flip ? "mirrored" : nil,
            told.flipVertical ? "upside down" : nil,
            told.crop < 1 ? "cropped to \(told.crop)" : nil, amount("turned ±", told.rotation),
            amount("zoomed ±", told.zoom), amount("moved ±", told.translation),
            amount("brightness ±", told.brightness), amount("contrast ±", told.contrast),
            amount("saturation ±", told.saturation), amount("noise", told.noise),
            amount("blur", told.blur), amount("erased", told.erasing),
            told.policy == .none ? nil : told.policy.rawValue,
        ].compactMap(\.self)
        guard !words.isEmpty else { return "none" }
        let views = options.mode == .features ? "; \(options.cacheViews) views kept" : ""
        return words.joined(separator: ", ") + views
    }

    /// The settings that a person would ask for, by name; what a head has no use for is a dash.
    public var settings: [(name: String, value: String)] {
        let steps = options.head.hasEpochs
        func stepping(_ value: String) -> String { steps ? value : "–" }
        let rule = options.optimizer
        var optimizer = "\(rule.rule) (\(rule.dialect))"
        if rule.momentum > 0 { optimizer += ", momentum \(rule.momentum)" }
        if rule.nesterov { optimizer += ", Nesterov" }
        if rule.weightDecay > 0 { optimizer += ", decay \(rule.weightDecay)" }
        let warmup = options.warmupSteps > 0 ? ", \(options.warmupSteps) steps of warm-up" : ""
        return (options.settings?.reported ?? []) + [
            ("architecture", architecture), ("mode", mode), ("head", head),
            ("input", "\(preprocessing.width) × \(preprocessing.height)"),
            ("optimizer", stepping(optimizer)),
            ("learning rate", stepping("\(options.learningRate)")),
            ("schedule", stepping("\(options.schedule)" + warmup)),
            ("batch", stepping("\(options.batchSize * options.accumulate)")),
            ("epochs", stepping("\(options.epochs), patience \(options.patience)")),
            ("learning rate by stage", stepping("× \(options.stageDecay)")),
            ("clipping", stepping(options.clipNorm > 0 ? "\(options.clipNorm)" : "none")),
            ("running mean of weights", stepping("\(options.averaging)")),
            ("BatchNorm", options.trainsNorms ? "learns" : "as in prediction"),
            ("label smoothing", "\(options.labelSmoothing)"),
            ("mixup, cutmix", stepping("\(options.mixup), \(options.cutmix)")),
            ("calibrated", options.calibrates ? "by temperature" : "no"),
            ("dropout", stepping("\(options.dropout)")), ("balance", "\(options.balance)"),
            ("changes of photos", changes), ("seed", "\(options.seed)"),
        ]
    }
}

/// The options of a run with the settings of its task, which stand among them under the task's name.
@dynamicMemberLookup
public struct RunOptions: Codable, Sendable {
    /// The options that every task has.
    public var common: TrainingOptions
    /// The settings of the task alone, where any were given.
    public var settings: (any TaskSettings)?

    init(_ common: TrainingOptions, settings: (any TaskSettings)?) {
        (self.common, self.settings) = (common, settings)
    }

    /// One of the common options.
    public subscript<Value>(dynamicMember path: KeyPath<TrainingOptions, Value>) -> Value {
        common[keyPath: path]
    }

    /// The name of a task as a key.
    private struct TaskKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ task: LearningTask) { stringValue = task.rawValue }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Reads options and, under the name of a task, its settings.
    public init(from decoder: any Decoder) throws {
        common = try TrainingOptions(from: decoder)
        let keys = try decoder.container(keyedBy: TaskKey.self)
        for task in LearningTask.allCases where keys.contains(TaskKey(task)) {
            settings = try task.kind.settings?.init(
                from: try keys.superDecoder(forKey: TaskKey(task)))
        }
    }

    /// Writes the settings of the task beside the others.
    public func encode(to encoder: any Encoder) throws {
        try common.encode(to: encoder)
        guard let settings else { return }
        var keys = encoder.container(keyedBy: TaskKey.self)
        try settings.encode(to: keys.superEncoder(forKey: TaskKey(type(of: settings).task)))
    }
}

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
    public var options: TrainingOptions
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
        let likeness = options.embedding.map { embedding in
            let loss = embedding.loss
            return [
                ("embedding", "\(embedding.size)"),
                (
                    "loss",
                    loss.kind.rawValue
                        + (loss.kind == .tripletSoft ? "" : ", margin \(loss.margin)")
                        + (loss.kind.hasProxies ? ", scale \(loss.scale)" : "")
                ), ("photos of a class in a batch", "\(embedding.photosPerClass)"),
            ]
        }
        return (likeness ?? []) + [
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

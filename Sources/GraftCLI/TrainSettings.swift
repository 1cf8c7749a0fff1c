// The settings of `graft train`: how the options of the command line become those of the library.

import ArgumentParser
import GraftImages
import GraftTraining

struct TrainSettings: ParsableArguments {
    enum Mode: String, ExpressibleByArgument, CaseIterable { case features, finetune }
    enum HeadKind: String, ExpressibleByArgument, CaseIterable { case linear, logistic, mlp, knn }
    enum Recipe: String, ExpressibleByArgument, CaseIterable { case features, finetune, auto }

    @Option(help: "features: the backbone stays as it is. finetune: a part of it learns too.")
    var mode: Mode?
    @Option(
        help: ArgumentHelp(
            "features, finetune or auto.",
            discussion: """
                features and finetune are the modes. auto finds the head at its optimum on the \
                frozen backbone first and fine-tunes from there; the head alone is kept if \
                fine-tuning makes nothing better.
                """)) var recipe: Recipe?
    @Option(
        help: ArgumentHelp(
            "What is put on the backbone.",
            discussion: """
                linear learns by steps. logistic is a linear head at its optimum (L-BFGS), its \
                penalty chosen on the validation photos. mlp has a hidden layer. knn asks the \
                nearest photos, how many is chosen on the validation photos.
                """))
    var head: HeadKind = .linear
    @Option(parsing: .unconditional, help: "Units of the hidden layer of an mlp (default: 256).")
    var hidden: Int?
    @Option(
        help:
            "With finetune: how many of the last stages learn, a stage's name, or `all`; 1 unless named."
    )
    var unfreeze: String?
    @Flag(
        help: ArgumentHelp(
            "BatchNorm learns too, where the network does.",
            discussion: """
                Without it BatchNorm normalises by its running statistics, as in prediction. With it, \
                by those of the batch, which its running statistics follow as the optimiser's \
                dialect has it: keras or torch. Give batches of 16 photos or more.
                """)) var trainBn = false
    @Option(
        parsing: .unconditional,
        help: "Epochs after which one more stage learns, the last first; 0: all at once.")
    var gradual: Int = 0
    @Option(parsing: .unconditional, help: "Learning rate of a stage as a share of the next one's.")
    var stageDecay: Double?
    @Option(parsing: .unconditional, help: "Passes over the photos.") var epochs: Int?
    @Option(parsing: .unconditional, help: "Photos a batch.") var batch: Int?
    @Option(parsing: .unconditional, help: "Batches a step, their gradients averaged.")
    var accumulate: Int = 1
    @Option(
        name: [.long, .customLong("lr")], parsing: .unconditional,
        help: "The step size, or `auto`: the one that a search suggests.") var learningRate: String?
    @Option(
        help: ArgumentHelp("The optimiser: sgd, adam, adamw, rmsprop or lamb."), transform: choice)
    var optimizer: Optimizer.Rule?
    @Option(
        help: ArgumentHelp("Whose arithmetic the optimiser follows: keras or torch."),
        transform: choice) var dialect: Optimizer.Dialect?
    @Option(parsing: .unconditional, help: "μ of sgd and rmsprop.") var momentum: Float?
    @Flag(help: "Look ahead, with sgd.") var nesterov = false
    @Option(
        parsing: .unconditional, help: "λ of weight decay; biases and normalisations do not decay.")
    var weightDecay: Float?
    @Option(
        help: ArgumentHelp("constant, step, cosine, onecycle or plateau."), transform: choice)
    var schedule: Schedule?
    @Option(parsing: .unconditional, help: "Steps of linear warm-up.") var warmup: Int?
    @Option(
        parsing: .unconditional, help: "The largest norm of all gradients together; 0 leaves them.")
    var clip: Double = 0
    @Option(parsing: .unconditional, help: "ε of label smoothing.") var labelSmoothing: Float?
    @Option(
        help: ArgumentHelp("How classes of different size count: none, weights or sampling."),
        transform: choice) var balance = ClassBalance.none
    @Option(parsing: .unconditional, help: "α of mixup; 0 mixes nothing.") var mixup: Double = 0
    @Option(parsing: .unconditional, help: "α of cutmix; 0 cuts nothing.") var cutmix: Double = 0
    @Flag(
        help: ArgumentHelp(
            "Make the model as sure as it is right (temperature scaling).",
            discussion: """
                Once the best epoch is known, the head's scores are divided by the one number that fits \
                the validation photos best. No answer changes, only how sure it is. The model file \
                holds the divided weights, so that predictions and exports are calibrated alike; \
                metrics.json tells the number, and the calibration error before and after.
                """)) var calibrate = false
    @Option(
        parsing: .unconditional,
        help: "The share of the running mean of the weights that a step keeps, e.g. 0.99.")
    var ema: Double = 0
    @Option(
        help:
            "How 3×3 convolutions that learn are computed: `exact` as the sums that define them, `default` also with fewer multiplications (Winograd)."
    )
    var accuracy: ExecutionSettings.Closeness = .default
    @Flag(help: "Learn mirrored photos too.") var flip = false
    @OptionGroup var augmentation: AugmentationSettings
    @Option(
        help: "Views of each changed image that are kept where the backbone is frozen (default: 4)."
    )
    var cacheViews: Int?
    @Option(
        help: ArgumentHelp(
            "How the frozen part's values are kept: f32, or f16 in half the space."),
        transform: choice) var cacheDtype = FeatureCache.Element.f32
    @Option(parsing: .unconditional, help: "The share of features dropped before the head.")
    var dropout: Float?
    @Option(
        parsing: .unconditional, help: "Epochs without improvement before it stops; 0 never stops.")
    var patience: Int?
    @Option(parsing: .unconditional, help: "The share of the photos kept for validation.")
    var fraction: Double?
    @Option(
        parsing: .unconditional, help: "The seed of split, head and order: same seed, same bytes.")
    var seed: UInt64 = 0

    /// Whether the head comes first.
    var headFirst: Bool { recipe == .auto }
    /// Whether a rate is to be searched for.
    var searchesRate: Bool { learningRate == "auto" }

    func validate() throws {
        if let learningRate, learningRate != "auto", Double(learningRate) == nil {
            throw ValidationError("--learning-rate takes a number or `auto`")
        }
        if let recipe, let mode, recipe.rawValue != mode.rawValue {
            throw ValidationError("--recipe \(recipe.rawValue) contradicts --mode \(mode.rawValue)")
        }
        // What is known without the data; the rest is asked once it is known.
        do {
            try refuseIdle(context(task: nil))
        } catch let idle as IdleOption {
            throw ValidationError(idle.message)
        }
    }

    /// Which part of the network learns.
    private var learning: Mode {
        mode ?? (recipe.map { $0 == .features ? .features : .finetune } ?? .features)
    }

    /// Whether a part of the backbone learns.
    var isFinetuning: Bool { learning == .finetune }

    func options() throws -> TrainingOptions {
        let mode = learning
        let unfreeze = unfreeze ?? "1"
        var stages: Int?
        var name: String?
        if unfreeze != "all" {
            stages = Int(unfreeze)
            if stages == nil { name = unfreeze }
            if let stages, stages < 1 {
                throw ValidationError(
                    "--unfreeze takes a number of stages above 0, a stage's name, or `all`")
            }
        }
        var options = TrainingOptions(
            mode: mode == .features ? .features : .finetune(unfreeze: stages))
        options.unfreezeFrom = mode == .finetune ? name : nil
        options.head =
            switch head {
            case .linear: .linear
            case .logistic: .logistic
            case .mlp: .perceptron(hidden: hidden ?? 256)
            case .knn: .neighbours
            }
        options.gradual = gradual
        options.trainsNorms = trainBn
        options.accumulate = accumulate
        options.clipNorm = clip
        options.balance = balance
        options.mixup = mixup
        options.cutmix = cutmix
        options.averaging = ema
        options.calibrates = calibrate
        options.flip = flip
        options.seed = seed
        options.augmentation = try augmentation.augmentation()
        if flip, !options.augmentation.isNothing { options.augmentation.flip = true }
        if let cacheViews { options.cacheViews = cacheViews }
        options.cacheElement = cacheDtype
        options.isExact = accuracy == .exact
        if let stageDecay { options.stageDecay = stageDecay }
        if let epochs { options.epochs = epochs }
        if let batch { options.batchSize = batch }
        if let rate = learningRate.flatMap({ Double($0) }) { options.learningRate = rate }
        if let schedule { options.schedule = schedule }
        if let warmup { options.warmupSteps = warmup }
        if let labelSmoothing { options.labelSmoothing = labelSmoothing }
        if let patience { options.patience = patience }
        if let fraction { options.validationFraction = fraction }
        if let dropout { options.dropout = dropout }
        if optimizer != nil || dialect != nil {
            options.optimizer = Optimizer.Settings(
                optimizer ?? options.optimizer.rule, dialect: dialect ?? .torch,
                momentum: (optimizer ?? options.optimizer.rule) == .sgd ? 0.9 : 0)
        }
        if let momentum { options.optimizer.momentum = momentum }
        if let weightDecay { options.optimizer.weightDecay = weightDecay }
        options.optimizer.nesterov = nesterov
        return options
    }
}

// Which options of `graft train` have an effect with which head, mode and task: one table, asked in one place.

import GraftTensors
import GraftTraining

/// What an option needs to have an effect.
enum OptionNeed {
    /// A head that learns in epochs.
    case epochs
    /// One of these heads.
    case head([TrainSettings.HeadKind])
    /// A part of the backbone that learns.
    case finetuning
    /// A part of the backbone that stays, whose values are kept.
    case frozen
    /// A task of which this holds.
    case task(@Sendable (TaskTraits) -> Bool)
    /// One of these optimisers.
    case optimizer([Optimizer.Rule])
    /// Changed images, of which several are kept.
    case augmentation
    /// A validation split that graft draws itself.
    case ownSplit
    /// The final training, not the search for a learning rate.
    case training

    /// What a run was told, as far as it is known.
    struct Context {
        var head: TrainSettings.HeadKind
        var isFinetuning: Bool
        var optimizer: Optimizer.Rule
        var isAugmented: Bool
        /// Nil before the data was looked at.
        var task: LearningTask?
        /// Why the split is not graft's own; nil if it is.
        var givenSplit: String?
        var findsRate: Bool
    }

    func isMet(_ context: Context) -> Bool {
        switch self {
        case .epochs: context.head == .linear || context.head == .mlp
        case .head(let heads): heads.contains(context.head)
        case .finetuning: context.isFinetuning
        case .frozen: !context.isFinetuning
        case .task(let holds): context.task.map { holds($0.traits) } ?? true
        case .optimizer(let rules): rules.contains(context.optimizer)
        case .augmentation: context.isAugmented
        case .ownSplit: context.givenSplit == nil
        case .training: !context.findsRate
        }
    }

    /// What stands after "does nothing".
    func phrase(_ context: Context) -> String {
        func list(_ names: [String]) -> String { names.joined(separator: " or ") }
        switch self {
        case .epochs:
            return "with `--head \(context.head.rawValue)`, which does not learn in epochs"
        case .head(let heads): return "without " + list(heads.map { "`--head \($0.rawValue)`" })
        case .finetuning: return "without `--mode finetune` or `--recipe auto`"
        case .frozen: return "with `--mode finetune`, where images are changed anew in each epoch"
        case .task(let holds):
            let tasks = LearningTask.allCases.filter { holds($0.traits) }
            return "for \(context.task?.rawValue ?? "this task"), only for "
                + list(tasks.map(\.rawValue))
        case .optimizer(let rules):
            return "without " + list(rules.map { "`--optimizer \($0.rawValue)`" })
        case .augmentation: return "without `--augment` or another change of the images"
        case .ownSplit: return "with \(context.givenSplit ?? "validation images")"
        case .training: return "with `--find-rate`, which trains nothing"
        }
    }
}

/// An option that would change nothing.
struct IdleOption: Diagnostic, Equatable {
    let option: String
    let phrase: String

    var message: String { "\(option) does nothing \(phrase)" }
    var hint: String? { "leave \(option) out; `graft train --help` says what each option takes" }
}

extension TrainSettings {
    /// The options that were given, each with what it needs to have an effect.
    private var needs: [(option: String, isGiven: Bool, needs: [OptionNeed])] {
        let scored: OptionNeed = .task { $0.hasProbabilities }
        let dropped: OptionNeed = .task { $0.takesDropout }
        return [
            ("--hidden", hidden != nil, [.head([.mlp])]),
            ("--unfreeze", unfreeze != nil, [.finetuning]),
            ("--gradual", gradual > 0, [.finetuning]),
            ("--stage-decay", stageDecay != nil, [.finetuning]),
            ("--train-bn", trainBn, [.finetuning]),
            ("--epochs", epochs != nil, [.epochs]),
            ("--batch", batch != nil, [.epochs]),
            ("--accumulate", accumulate != 1, [.epochs]),
            ("--learning-rate", learningRate != nil, [.epochs, .training]),
            ("--optimizer", optimizer != nil, [.epochs]),
            ("--dialect", dialect != nil, [.epochs]),
            ("--momentum", momentum != nil, [.epochs, .optimizer([.sgd, .rmsprop])]),
            ("--nesterov", nesterov, [.epochs, .optimizer([.sgd])]),
            ("--weight-decay", weightDecay != nil, [.epochs]),
            ("--schedule", schedule != nil, [.epochs, .training]),
            ("--warmup", warmup != nil, [.epochs, .training]),
            ("--clip", clip > 0, [.epochs]),
            (
                "--label-smoothing", labelSmoothing != nil,
                [.head([.linear, .mlp, .logistic]), scored]
            ),
            ("--balance", balance != .none, [.head([.linear, .mlp, .logistic]), scored]),
            ("--mixup", mixup > 0, [.epochs, .task { $0.refusesBlending == nil }]),
            (
                "--cutmix", cutmix > 0,
                [.epochs, .finetuning, .task { $0.refusesBlending == nil }]
            ),
            ("--calibrate", calibrate, [.head([.linear, .mlp, .logistic]), scored, .training]),
            ("--ema", ema > 0, [.epochs, .training]),
            ("--dropout", dropout != nil, [.epochs, dropped]),
            ("--patience", patience != nil, [.head([.linear, .mlp, .logistic]), .training]),
            ("--fraction", fraction != nil, [.ownSplit]),
            ("--cache-views", cacheViews != nil, [.frozen, .augmentation]),
        ]
    }

    /// What is known of the run.
    func context(
        task: LearningTask?, givenSplit: String? = nil, findsRate: Bool = false
    ) -> OptionNeed.Context {
        OptionNeed.Context(
            head: head, isFinetuning: isFinetuning,
            optimizer: optimizer ?? (isFinetuning ? .sgd : .adam),
            isAugmented: augmentation.augment != .none || !augmentation.given.isEmpty, task: task,
            givenSplit: givenSplit, findsRate: findsRate)
    }

    /// Refuses what would change nothing: who asks for it believes that it does.
    ///
    /// - Throws: ``IdleOption`` for the first of the options.
    func refuseIdle(_ context: OptionNeed.Context) throws {
        if nesterov, momentum == 0 {
            throw IdleOption(option: "--nesterov", phrase: "without --momentum above 0")
        }
        for row in needs where row.isGiven {
            guard let missing = row.needs.first(where: { !$0.isMet(context) }) else { continue }
            throw IdleOption(option: row.option, phrase: missing.phrase(context))
        }
    }
}

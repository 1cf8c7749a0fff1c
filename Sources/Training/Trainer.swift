// The training run: what is frozen once, what learns in epochs, and the best of them kept.

import FoundationEssentials
public import GraftImages
public import GraftNetworks
public import GraftTensors

/// What a run learns from.
public struct TrainingInput: Sendable {
    /// The backbone, with or without a head of its own.
    public var graph: Graph
    /// Its weights, bound to it: `Graph.bound(_:)`.
    public var weights: StateDict
    /// How photos become inputs.
    public var preprocessing: Preprocessing
    /// The digest of the file that the weights came from, for the run's description.
    public var modelDigest: String
    /// The file itself, or what was asked for, for messages.
    public var origin = ""
    /// The names of the classes, in the order of their indices.
    public var classes: [String]
    /// The photos to learn from.
    public var training: [PhotoFolder.Item]
    /// The photos to choose the best epoch by; may be empty.
    public var validation: [PhotoFolder.Item]
    /// What is to be learned.
    public var task = LearningTask.classification
    /// Settings of the task alone; nil takes its defaults.
    public var settings: (any TaskSettings)?
    /// How many of the last classes only validation photos have.
    public var unseen = 0
    /// A head to start from instead of a random one: the parameters of a head of the same shape.
    public var head: StateDict?
    /// The command that repeats the run, for its report.
    public var command = ""

    /// What a run learns from.
    public init(
        graph: Graph, weights: StateDict, preprocessing: Preprocessing, modelDigest: String,
        classes: [String], training: [PhotoFolder.Item], validation: [PhotoFolder.Item]
    ) {
        self.graph = graph
        self.weights = weights
        self.preprocessing = preprocessing
        self.modelDigest = modelDigest
        self.classes = classes
        self.training = training
        self.validation = validation
    }
}

/// One training run. Its folder holds `log.csv`, `split.json`, `checkpoint.safetensors` and
/// `metrics.json`; used by one thread at a time.
public final class Trainer {
    private let run: any TaskRun

    package init(
        _ input: TrainingInput, options: TrainingOptions, runFolder: String,
        features: any FeatureStore,
        engine: any TrainingEngine, crew: any Crew = Alone(),
        report: @escaping @Sendable (TrainingEvent) -> Void
    ) throws {
        try options.validate()
        try options.validate(for: input.task, settings: input.settings)
        let site = RunSite(
            input: input, options: options, folder: runFolder, features: features,
            engine: engine, crew: crew, report: report)
        run = try input.task.kind.run(site)
    }

    /// Runs to the end. With `resume`, continues after the last epoch that the run folder holds, to
    /// the same numbers as without the interruption; a run that ended within its first epoch begins
    /// again.
    ///
    /// - Throws: `CancellationError` at the next batch once the task is cancelled. What was finished is
    ///   kept: epochs in the run folder, features in the cache.
    public func run(resume: Bool = false) throws -> TrainingResult { try run.run(resume: resume) }

    /// What learning rate suits: tries growing ones, and leaves nothing behind but features.
    public func findRate() throws -> RateSearch { try run.findRate() }
}

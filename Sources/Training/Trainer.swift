// The training run: what is frozen once, what learns in epochs, and the best of them kept.

public import GraftImages
public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// What a run learns from.
public struct TrainingInput: Sendable {
    /// The backbone, with or without a head of its own.
    public var graph: Graph
    /// Its weights, bound to it: `Graph.bound(_:)`.
    public var weights: StateDict
    /// How photos become inputs.
    public var preprocessing: Preprocessing
    /// The digest of the file that the weights came from: part of what finds kept features.
    public var modelDigest: String
    /// The names of the classes, in the order of their indices.
    public var classes: [String]
    /// The photos to learn from.
    public var training: [PhotoFolder.Item]
    /// The photos to choose the best epoch by; may be empty.
    public var validation: [PhotoFolder.Item]
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
    private let input: TrainingInput
    private let options: TrainingOptions
    private let runFolder: String
    private let cacheFolder: String
    private let engine: any TrainingEngine
    private let report: @Sendable (TrainingEvent) -> Void
    private var skipped: [Int: String] = [:]
    private var skippedCount = 0
    private var reused = 0

    package init(
        _ input: TrainingInput, options: TrainingOptions, runFolder: String, cacheFolder: String,
        engine: any TrainingEngine, report: @escaping @Sendable (TrainingEvent) -> Void
    ) throws {
        try options.validate()
        self.input = input
        self.options = options
        self.runFolder = runFolder
        self.cacheFolder = cacheFolder
        self.engine = engine
        self.report = report
    }

    /// Runs to the end. With `resume`, goes on after the last epoch that the run folder holds, to
    /// the same numbers as without the interruption.
    public func run(resume: Bool = false) throws -> TrainingResult {
        try RunFiles.makeFolder(runFolder)
        let parts = try Parts(input, options)
        var random = RandomSource(seed: options.seed)
        let weights = startWeights(parts, &random)
        report(
            .started(
                cut: parts.model.nodes[parts.cut].name,
                trainableParameters: parts.trainableCount,
                parameters: parts.model.parameterCount))
        let (training, validation) = try readSamples(parts, weights)
        let split = Split(
            seed: options.seed, fraction: options.validationFraction,
            training: input.training.map(\.relativePath),
            validation: input.validation.map(\.relativePath))
        try RunFiles.write(try RunFiles.json(split, pretty: true) + "\n", to: path("split.json"))

        let learner = try engine.learner(
            parts.suffix, weights: weights, input: parts.batch(options.batchSize),
            trainable: parts.trainable, output: parts.output)
        let counts = input.classes.indices.map { name in training.labels.count { $0 == name } }
        var loop = try TrainingLoop(
            learner: learner, options: options, classes: input.classes.count,
            shape: parts.batch(options.batchSize), random: random,
            classWeights: options.balance == .weights
                ? CrossEntropy.balanced(counts: counts) : nil,
            pace: { parts.pace(of: $0, options) })
        if options.head == .logistic {
            try fit(&loop, training, validation, counts)
            return try finish(&loop, parts, weights, training, validation)
        }
        let identity = try self.identity(parts, split)
        let checkpoint = path("checkpoint.safetensors")
        if resume {
            try loop.restore(checkpoint, identity: identity)
            report(.resumed(epoch: loop.history.count))
        }
        while loop.history.count < options.epochs {
            if options.patience > 0, loop.sinceBest >= options.patience {
                report(.stoppedEarly(epoch: loop.history.count, best: loop.best + 1))
                break
            }
            let record = try loop.epoch(training, validation)
            try loop.save(checkpoint, identity: identity)
            try RunFiles.write(EpochRecord.csv(loop.history), to: path("log.csv"))
            report(.epoch(record, isBest: loop.best == loop.history.count - 1))
        }
        return try finish(&loop, parts, weights, training, validation)
    }

    /// The linear head at its optimum, once for each penalty of the path.
    private func fit(
        _ loop: inout TrainingLoop, _ training: Samples, _ validation: Samples, _ counts: [Int]
    ) throws {
        var features: [Float] = []
        var labels: [Int] = []
        for view in 0..<training.views {
            for photo in training.labels.indices {
                features += try training.values(photo, view: view)
                labels.append(training.labels[photo])
            }
        }
        let weights =
            options.balance == .none ? nil : CrossEntropy.balanced(counts: counts).map(Double.init)
        let regression = LogisticRegression(
            features: features, width: training.count, labels: labels,
            classes: input.classes.count, weights: weights,
            labelSmoothing: Double(options.labelSmoothing))
        // Without photos to choose by, a middling penalty is the one that is tried.
        let path =
            validation.labels.isEmpty
            ? [LogisticRegression.penalties[4]] : LogisticRegression.penalties
        for penalty in path {
            let head = try regression.fit(penalty: penalty)
            try loop.load([head.matrix, head.bias])
            let own = try loop.evaluate(training)
            let record = try loop.adopt(
                [head.matrix, head.bias], loss: own.loss, accuracy: own.confusion.accuracy,
                penalty: penalty, validation)
            report(.epoch(record, isBest: loop.best == loop.history.count - 1))
            if options.patience > 0, loop.sinceBest >= options.patience { break }
        }
    }

    private func finish(
        _ loop: inout TrainingLoop, _ parts: Parts, _ weights: StateDict, _ training: Samples,
        _ validation: Samples
    ) throws -> TrainingResult {
        try loop.load(loop.bestWeights)
        let score = try loop.evaluate(validation)
        let count = score.confusion.count
        let metrics = TrainingMetrics(
            classes: input.classes, bestEpoch: loop.best + 1, epochs: loop.history.count,
            trainingPhotos: training.labels.count, validationPhotos: count,
            skippedPhotos: skippedCount, loss: count > 0 ? score.loss : nil,
            accuracy: count > 0 ? score.confusion.accuracy : nil,
            top5: count > 0 && input.classes.count > 5 ? score.top5 : nil,
            macroF1: count > 0 ? score.confusion.macroF1 : nil,
            scores: count > 0
                ? ScoreSummary(
                    probabilities: score.probabilities, labels: validation.labels,
                    classes: input.classes.count) : nil,
            perClass: score.confusion.perClass, confusion: score.confusion)
        try RunFiles.write(
            try RunFiles.json(metrics, pretty: true) + "\n", to: path("metrics.json"))
        try RunFiles.write(EpochRecord.csv(loop.history), to: path("log.csv"))
        // Frozen weights are handed on untouched, so that their bytes stay as they came.
        var result = weights
        for (parameter, values) in zip(loop.parameters, loop.bestWeights) {
            result[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
        try describe(loop, parts, result, metrics, training, validation, score)
        return TrainingResult(
            graph: parts.model, weights: result, classes: input.classes, history: loop.history,
            metrics: metrics, reusedFeatures: reused)
    }

    /// Writes `run.json`, `report.html` and TensorBoard's events.
    private func describe(
        _ loop: TrainingLoop, _ parts: Parts, _ weights: StateDict, _ metrics: TrainingMetrics,
        _ training: Samples, _ validation: Samples, _ score: TrainingLoop.Score
    ) throws {
        let run = RunDescription(
            command: input.command, architecture: input.graph.name,
            modelDigest: input.modelDigest, options: options, preprocessing: input.preprocessing,
            classes: input.classes,
            trainingCounts: input.classes.indices.map { name in
                training.labels.count { $0 == name }
            })
        try RunFiles.write(try RunFiles.json(run, pretty: true) + "\n", to: path("run.json"))
        let mistakes = try self.mistakes(parts, weights, validation, score)
        try RunFiles.write(
            try RunReport.html(run, metrics, loop.history, mistakes), to: path("report.html"))
        try EventFile.write(loop.history, folder: runFolder)
    }

    /// The validation photos that are most surely taken for something else.
    private func mistakes(
        _ parts: Parts, _ weights: StateDict, _ validation: Samples, _ score: TrainingLoop.Score,
        limit: Int = 12
    ) throws -> [Mistake] {
        var wrong: [(photo: Int, prediction: Int, probability: Float)] = []
        for (photo, row) in score.probabilities.enumerated() {
            let best = row.withUnsafeBufferPointer { Ranking.best(of: $0) }
            if best != validation.labels[photo] { wrong.append((photo, best, row[best])) }
        }
        wrong.sort { $0.probability > $1.probability }
        let shape = input.preprocessing.shape
        let looking =
            wrong.isEmpty
            ? nil
            : try ActivationMap(parts.model, weights: weights, input: shape, engine: engine)
        var mistakes: [Mistake] = []
        for entry in wrong.prefix(limit) {
            let path = validation.paths[entry.photo]
            guard let photo = try? Image.decode(path: path) else { continue }
            let seen = Tensor(shape: shape) { input.preprocessing.write(photo, into: $0) }
            let picture = input.preprocessing.picture(of: seen.floats)
            var pictures = [picture]
            if let looking {
                let map = try looking.map(seen, label: entry.prediction)
                pictures.append(picture.under(map, rows: looking.rows, columns: looking.columns))
            }
            mistakes.append(
                Mistake(
                    path: path, truth: input.classes[validation.labels[entry.photo]],
                    prediction: input.classes[entry.prediction], probability: entry.probability,
                    pictures: pictures.map { $0.resized(width: 160, height: 160, .bilinear) }))
        }
        return mistakes
    }

    /// The weights of the model in its order: the backbone's, and a new head's.
    private func startWeights(_ parts: Parts, _ random: inout RandomSource) -> StateDict {
        var tensors: OrderedDictionary<String, LazyTensor> = [:]
        for (index, node) in parts.model.nodes.enumerated() {
            for parameter in node.parameters {
                guard index > parts.model.features else {
                    tensors[parameter.name] = input.weights[parameter.name]
                    continue
                }
                let shape = parameter.shape
                let values =
                    parameter.role == .matrix
                    ? random.glorotUniform(count: shape.count, fanIn: shape[1], fanOut: shape[0])
                    : [Float](repeating: 0, count: shape.count)
                tensors[parameter.name] = LazyTensor(Tensor(values, shape: shape))
            }
        }
        return StateDict(tensors)
    }

    private func readSamples(_ parts: Parts, _ weights: StateDict) throws -> (Samples, Samples) {
        var frozen: (cache: FeatureCache, run: (Tensor) throws -> Tensor, batch: Int)?
        if let prefix = parts.prefix {
            let batch = 8
            var shape = input.preprocessing.shape
            shape[0] = batch
            let cache = try FeatureCache(
                root: cacheFolder, modelDigest: input.modelDigest,
                cut: parts.model.nodes[parts.cut].name, preprocessing: input.preprocessing,
                count: parts.shape.count)
            // Planned when the first photo needs it: a second run may need no backbone at all.
            var run: ((Tensor) throws -> Tensor)?
            let engine = engine
            frozen = (
                cache,
                { tensor in
                    let known = try run ?? engine.frozen(prefix, weights: weights, input: shape)
                    run = known
                    return try known(tensor)
                }, batch
            )
        }
        let total = input.training.count + input.validation.count
        var done = 0
        var reader = SampleReader(
            preprocessing: input.preprocessing, views: Views(options), frozen: frozen,
            skip: { item, reason in
                self.skippedCount += 1
                self.skipped[item.classIndex] = self.skipped[item.classIndex] ?? reason
                self.report(.skipped(path: item.path, reason: reason))
            },
            progress: { known in
                done += 1
                self.reused += known ? 1 : 0
                self.report(.features(done: done, total: total, reused: self.reused))
            })
        let training = try reader.read(input.training)
        for (index, name) in input.classes.enumerated() where !training.labels.contains(index) {
            throw TrainingError.noPhotos(of: name, reason: skipped[index])
        }
        reader.views = .plain
        let validation = try reader.read(input.validation)
        let learned = Dictionary(
            zip(training.digests, training.paths), uniquingKeysWith: { first, _ in first })
        for (digest, path) in zip(validation.digests, validation.paths) {
            if let twin = learned[digest] { report(.duplicate(path: path, of: twin)) }
        }
        return (training, validation)
    }

    /// What must be the same for a checkpoint to be of this run; more epochs may be asked for.
    private func identity(_ parts: Parts, _ split: Split) throws -> String {
        var settings = options
        settings.patience = 0
        if settings.schedule == .constant || settings.schedule == .plateau { settings.epochs = 1 }
        let texts = [
            try RunFiles.json(settings), try RunFiles.json(split), input.modelDigest,
            try RunFiles.json(input.preprocessing), try RunFiles.json(input.classes),
            try RunFiles.json(parts.model),
        ]
        return RunFiles.digest(texts.joined(separator: "\n").utf8)
    }

    private func path(_ name: String) -> String { "\(runFolder)/\(name)" }
}

/// The network with its new head, cut in two.
private struct Parts {
    let model: Graph
    let cut: Int
    let prefix: Graph?
    let suffix: Graph
    let output: Int
    let trainable: Set<String>
    let trainableCount: Int
    /// One photo at the suffix's input.
    let shape: Shape

    init(_ input: TrainingInput, _ options: TrainingOptions) throws {
        let classes = input.classes.count
        guard classes > 1 else {
            throw TrainingError.option(
                "number of classes", expected: "2 or more", found: "\(classes)")
        }
        model = try input.graph.withHead(
            classes: classes, hidden: options.head.hidden, dropout: options.dropout)
        for node in model.nodes[...model.features] {
            for parameter in node.parameters where input.weights[parameter.name] == nil {
                throw TrainingError.missingWeight(parameter.name)
            }
        }
        switch options.mode {
        case .features: cut = model.features
        case .finetune where options.unfreezeFrom != nil:
            let name = options.unfreezeFrom ?? ""
            guard let count = model.stages(from: name) else {
                throw TrainingError.option(
                    "stage to unfreeze from",
                    expected:
                        "one of \(model.stages.filter { $0 != "head" }.joined(separator: ", "))",
                    found: name)
            }
            cut = model.cut(unfreezing: count)
        case .finetune(let count?): cut = model.cut(unfreezing: count)
        case .finetune(nil): cut = 0
        }
        depths = Parts.depths(model)
        if cut > 0 {
            let halves = try model.split(at: cut)
            prefix = halves.prefix
            suffix = halves.suffix
            let value = try halves.prefix.shapes(input: input.preprocessing.shape)[cut]
            shape = value.rank == 2 ? [1, value[1], 1, 1] : value
        } else {
            prefix = nil
            suffix = model
            shape = input.preprocessing.shape
        }
        output = suffix.logits ?? suffix.output
        let learned = suffix.parameters.filter { !$0.isBuffer }
        trainable = Set(learned.map(\.name))
        trainableCount = learned.reduce(0) { $0 + $1.shape.count }
    }

    /// How many stages before the head each parameter is.
    let depths: [String: Int]

    private static func depths(_ graph: Graph) -> [String: Int] {
        let stages = graph.stages
        var result: [String: Int] = [:]
        for node in graph.nodes {
            let place = stages.firstIndex(of: node.stage) ?? 0
            for parameter in node.parameters { result[parameter.name] = stages.count - 1 - place }
        }
        return result
    }

    /// Lower stages learn slower and later, as the options ask; vectors do not decay.
    func pace(of parameter: Parameter, _ options: TrainingOptions) -> TrainingLoop.Pace {
        let depth = depths[parameter.name] ?? 0
        return TrainingLoop.Pace(
            scale: raised(options.stageDecay, Double(depth)),
            decays: parameter.shape.rank > 1, start: depth * options.gradual)
    }

    func batch(_ count: Int) -> Shape {
        var result = shape
        result[0] = count
        return result
    }
}

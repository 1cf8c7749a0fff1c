// The training run: what is frozen once, what learns in epochs, and the best of them kept.

import FoundationEssentials
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
    /// How many of the last classes none but validation photos have: embeddings are for those too.
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
    let input: TrainingInput
    let options: TrainingOptions
    let runFolder: String
    private let features: any FeatureStore
    let engine: any TrainingEngine
    let crew: any Crew
    let report: @Sendable (TrainingEvent) -> Void
    private var skipped: [Int: String] = [:]
    private(set) var skippedCount = 0
    /// What answers that are numbers are measured in: mean and deviation of each over the photos
    /// that are learned from. The head learns numbers of deviation 1.
    private var units: [(mean: Float, deviation: Float)] = []
    var reused = 0

    package init(
        _ input: TrainingInput, options: TrainingOptions, runFolder: String,
        features: any FeatureStore,
        engine: any TrainingEngine, crew: any Crew = Alone(),
        report: @escaping @Sendable (TrainingEvent) -> Void
    ) throws {
        try options.validate()
        try options.validate(for: input.task)
        self.input = input
        self.options = options
        self.runFolder = runFolder
        self.features = features
        if crew.count > 1, input.task == .detection {
            // Each photo's share is by the boxes of the whole batch.
            throw TrainingError.option(
                "number of processes", expected: "1 to learn boxes", found: "\(crew.count)")
        }
        if crew.count > 1, options.embedding != nil {
            // Pairs are looked for within a batch: its parts on several machines would have others.
            throw TrainingError.option(
                "number of processes", expected: "1 to learn embeddings", found: "\(crew.count)")
        }
        if options.calibrates, input.validation.isEmpty {
            throw TrainingError.option(
                "calibration", expected: "validation photos to fit it on", found: "none of them")
        }
        if options.trainsNorms, options.batchSize % crew.count != 0 {
            // Statistics are joined from parts of one size.
            throw TrainingError.option(
                "batch size",
                expected: "a multiple of the \(crew.count) processes to train BatchNorm",
                found: "\(options.batchSize)")
        }
        try input.requireFiniteWeights()
        self.engine = engine
        self.crew = crew
        // One process speaks and writes for all.
        if crew.rank == 0 { self.report = report } else { self.report = { _ in } }
    }

    /// Writes a file of the run, once for all processes.
    func write(_ text: String, _ name: String) throws {
        if crew.rank == 0 { try RunFiles.write(text, to: path(name)) }
    }

    /// Runs to the end. With `resume`, continues after the last epoch that the run folder holds, to
    /// the same numbers as without the interruption; a run that ended within its first epoch begins
    /// again.
    ///
    /// - Throws: `CancellationError` at the next batch once the task is cancelled. What was finished is
    ///   kept: epochs in the run folder, features in the cache.
    public func run(resume: Bool = false) throws -> TrainingResult {
        try RunFiles.makeFolder(runFolder)
        report(.data(input.data))
        let parts = try Parts(input, options)
        var random = RandomSource(seed: options.seed)
        let weights = startWeights(parts, &random)
        report(
            .started(
                cut: parts.model.nodes[parts.cut].name,
                // Asking neighbours learns nothing.
                trainableParameters: options.head.isNeighbours ? 0 : parts.trainableCount,
                parameters: parts.model.parameterCount))
        let names = Split(
            seed: options.seed, fraction: options.validationFraction,
            training: input.training.map(\.relativePath),
            validation: input.validation.map(\.relativePath))
        let resume = resume && !hasOnlyBegun(names)
        // Before anything that takes long: it says that the run has begun.
        if !isOf(names, "split.json") {
            try write(try RunFiles.json(names, pretty: true) + "\n", "split.json")
        }
        let (training, validation) = try readSamples(parts, weights)
        var split = names
        split.trainingDigests = training.digests.map(\.hexadecimal)
        split.validationDigests = validation.digests.map(\.hexadecimal)
        try write(try RunFiles.json(split, pretty: true) + "\n", "split.json")

        if options.head.isNeighbours {
            do {
                var result = try findNeighbours(parts, weights, training, validation)
                result.split = split
                return result
            } catch let error as TrainingError where error.isCommon {
                record(error, nil, parts, weights, training, validation)
                throw error
            }
        }
        var loop = try loop(parts, weights, random, training)
        do {
            if options.head == .logistic {
                try fit(&loop, parts, training, validation)
            } else {
                let identity = try identity(parts, names, weights)
                try learn(&loop, training, validation, identity: identity, resume: resume)
            }
            var result = try finish(&loop, parts, weights, training, validation)
            result.split = split
            return result
        } catch let error as TrainingError where error.isCommon {
            let error = try explained(error, parts, training)
            record(error, loop, parts, weights, training, validation)
            throw error
        }
    }

    /// Whether the folder holds the beginning of this run, or of the run that finds its head, and no epoch.
    private func hasOnlyBegun(_ names: Split) -> Bool {
        !RunFiles.exists(path("checkpoint.safetensors"))
            && ["split.json", "head/split.json"].contains { isOf(names, $0) }
    }

    /// Whether a file of the run's folder says that these photos are on these sides.
    private func isOf(_ names: Split, _ name: String) -> Bool {
        guard let text = RunFiles.text(path(name)),
            var found = try? JSONDecoder().decode(Split.self, from: Data(text.utf8))
        else { return false }
        found.trainingDigests = names.trainingDigests
        found.validationDigests = names.validationDigests
        return found == names
    }

    /// Learns epoch by epoch, each on disk before the next begins.
    private func learn(
        _ loop: inout TrainingLoop, _ training: Samples, _ validation: Samples, identity: String,
        resume: Bool
    ) throws {
        let checkpoint = path("checkpoint.safetensors")
        if resume {
            try loop.restore(checkpoint, identity: identity)
            report(.resumed(epoch: loop.done))
        } else if input.head != nil {
            report(.epoch(try loop.begin(training, validation), isBest: true))
        }
        if crew.rank == 0 { try EventFile.write(loop.history, input.task, folder: runFolder) }
        while loop.done < options.epochs {
            if options.patience > 0, loop.sinceBest >= options.patience {
                report(.stoppedEarly(epoch: loop.done, best: loop.history[loop.best].epoch))
                break
            }
            let record = try loop.epoch(training, validation)
            if crew.rank == 0 {
                try loop.save(checkpoint, identity: identity)
                try EventFile.append(record, input.task, folder: runFolder)
            }
            try write(EpochRecord.csv(loop.history, input.task), "log.csv")
            report(.epoch(record, isBest: loop.best == loop.history.count - 1))
        }
    }

    /// What learning rate suits: tries growing ones, and leaves nothing behind but features.
    public func findRate() throws -> RateSearch {
        let parts = try Parts(input, options)
        var random = RandomSource(seed: options.seed)
        let weights = startWeights(parts, &random)
        let (training, _) = try readSamples(parts, weights)
        var loop = try loop(parts, weights, random, training)
        return try loop.findRate(training)
    }

    private func loop(
        _ parts: Parts, _ weights: StateDict, _ random: RandomSource, _ training: Samples
    ) throws -> TrainingLoop {
        let shape = parts.batch((options.batchSize + crew.count - 1) / crew.count)
        var learner = try engine.learner(
            parts.suffix, weights: weights, input: shape,
            trainable: parts.trainable, moving: parts.moving, crew: crew, output: parts.output)
        if let embedding = options.embedding, embedding.loss.kind.hasProxies {
            learner = ProxyLearner(
                learner, classes: input.classes.count - input.unseen, width: embedding.size,
                seed: options.seed)
        }
        let detector = input.task == .detection ? try detector(parts) : nil
        var loop = try TrainingLoop(
            learner: learner, options: options, task: input.task,
            classes: detector?.outputs ?? options.embedding?.size ?? input.classes.count,
            shape: shape, random: random,
            classWeights: options.balance == .weights ? balance(training) : nil, crew: crew,
            pace: { [options] in parts.pace(of: $0, options) })
        (loop.detector, loop.classNames) = (detector, input.classes)
        loop.progress = { [report, epochs = options.epochs] done, total, epoch in
            report(.step(done: done, of: total, epoch: epoch, epochs: epochs))
        }
        return loop
    }

    /// How many photos of each class, or with each label, there are.
    func counts(_ training: Samples) -> [Int] {
        if input.task == .detection { return boxCounts(training) }
        return input.classes.indices.map { index in
            input.task.hasClasses
                ? training.labels.count { $0 == index }
                : training.items.count { input.task == .regression || $0.targets[index] > 0 }
        }
    }

    /// What classes count; of labels, how much more it counts where one holds.
    func balance(_ training: Samples) -> [Float] {
        let counts = counts(training)
        guard input.task == .multiLabel else { return CrossEntropy.balanced(counts: counts) }
        return counts.map { Float(training.items.count - $0) / Float(max($0, 1)) }
    }

    private func finish(
        _ loop: inout TrainingLoop, _ parts: Parts, _ weights: StateDict, _ training: Samples,
        _ validation: Samples
    ) throws -> TrainingResult {
        try loop.load(loop.bestWeights)
        let temperature = options.calibrates ? try calibrate(&loop, parts, validation) : nil
        let score = try loop.evaluate(validation)
        let metrics = try conclude(
            loop.history, best: loop.history[loop.best].epoch, score, validation, training,
            temperature: temperature)
        // Frozen weights are handed on untouched, so that their bytes stay as they came.
        var result = weights
        for (parameter, values) in zip(loop.kept, loop.bestWeights)
        where parameter.name != ProxyLearner.name {
            result[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
        if crew.rank == 0 {
            try describe(parts, result, metrics, training, validation, score, loop.history)
        }
        if input.task == .regression { try restoreUnits(parts.model, &result) }
        return TrainingResult(
            graph: parts.model, weights: result, classes: input.classes, history: loop.history,
            metrics: metrics, reusedFeatures: reused)
    }

    /// The head learned numbers of mean 0 and deviation 1: makes it answer them as they are.
    private func restoreUnits(_ model: Graph, _ weights: inout StateDict) throws {
        guard let logits = model.logits else { return }
        for parameter in model.nodes[logits].parameters {
            guard var values = try weights[parameter.name]?.load().floats else { continue }
            let width = values.count / units.count
            for (k, unit) in units.enumerated() {
                for at in (k * width)..<((k + 1) * width) { values[at] *= unit.deviation }
                if parameter.role == .bias { values[k] += unit.mean }
            }
            weights[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
    }

    /// Numbers as people measure them.
    func inUnits(_ numbers: [Float]) -> [Float] {
        zip(numbers, units).map { $0 * $1.deviation + $1.mean }
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
                if let known = input.head?[parameter.name], known.shape == shape {
                    tensors[parameter.name] = known
                    continue
                }
                let values: [Float]
                switch parameter.role {
                case .matrix, .kernel, .depthwiseKernel:
                    let area = shape.dimensions.dropFirst(2).reduce(1, *)
                    values = random.glorotUniform(
                        count: shape.count, fanIn: shape[1] * area,
                        fanOut: (parameter.role == .depthwiseKernel ? 1 : shape[0]) * area)
                default: values = [Float](repeating: 0, count: shape.count)
                }
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
                in: features, modelDigest: try digest(prefix, weights),
                cut: parts.model.nodes[parts.cut].name, preprocessing: input.preprocessing,
                count: parts.shape.count, element: options.cacheElement)
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
        // A photo that is skipped is done too: who watches would wait for it.
        func advance(_ known: Bool) {
            done += 1
            reused += known ? 1 : 0
            report(.features(done: done, total: total, reused: reused))
        }
        var reader = SampleReader(
            preprocessing: input.preprocessing, views: Views(options), frozen: frozen, crew: crew,
            skip: { item, reason in
                self.skippedCount += 1
                self.skipped[item.classIndex] = self.skipped[item.classIndex] ?? reason
                self.report(.skipped(path: item.path, reason: reason))
                advance(false)
            }, progress: advance)
        var training = try reader.read(input.training)
        if input.task == .regression, training.items.isEmpty {
            throw TrainingError.noValues(reason: skipped.values.first)
        }
        for (name, count) in zip(input.classes.dropLast(input.unseen), counts(training))
        where count == 0 && input.task != .detection {
            let index = input.classes.firstIndex(of: name)
            throw TrainingError.noPhotos(of: name, reason: index.flatMap { skipped[$0] })
        }
        reader.views = .plain
        var validation = try reader.read(input.validation)
        let learned = Dictionary(
            zip(training.digests, training.items), uniquingKeysWith: { first, _ in first })
        for (digest, item) in zip(validation.digests, validation.items) {
            if let twin = learned[digest] {
                report(.duplicate(path: item.path, of: twin.path))
            }
        }
        if input.task == .regression { standardise(&training, &validation) }
        if options.embedding != nil { try requirePairs(validation) }
        if input.task == .detection, counts(training).allSatisfy({ $0 == 0 }) {
            throw TrainingError.noObjects(reason: skipped.values.first)
        }
        return (training, validation)
    }

    /// Gives the numbers to be learned mean 0 and deviation 1, so that one learning rate suits all.
    private func standardise(_ training: inout Samples, _ validation: inout Samples) {
        units = input.classes.indices.map { k in
            let values = training.targets.map { Double($0[k]) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance =
                values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            return (Float(mean), variance > 0 ? Float(variance.squareRoot()) : 1)
        }
        func standard(_ numbers: [Float]) -> [Float] {
            zip(numbers, units).map { ($0 - $1.mean) / $1.deviation }
        }
        training.targets = training.targets.map(standard)
        validation.targets = validation.targets.map(standard)
    }

    /// What must be the same for a checkpoint to be of this run; more epochs may be asked for.
    private func identity(_ parts: Parts, _ split: Split, _ weights: StateDict) throws -> String {
        var settings = options
        settings.patience = 0
        // What is done to the best epoch in the end.
        settings.calibrates = false
        if settings.schedule == .constant || settings.schedule == .plateau { settings.epochs = 1 }
        let texts = [
            try RunFiles.json(settings), try RunFiles.json(split),
            try RunFiles.json(input.preprocessing), try RunFiles.json(input.classes),
            try parts.prefix.map { try digest($0, weights) } ?? "",
            try digest(parts.suffix, weights),
        ]
        return RunFiles.digest(texts.joined(separator: "\n").utf8)
    }

    /// What a part of the network computes depends on: its layers, and the bytes of its weights. The
    /// file that they came from would not do: what was trained further tells of the same one.
    private func digest(_ graph: Graph, _ weights: StateDict) throws -> String {
        var text = try RunFiles.json(graph)
        for parameter in graph.parameters {
            guard let tensor = try weights[parameter.name]?.load() else { continue }
            let bytes = tensor.withBytes { RunFiles.digest($0) }
            text += "\n\(parameter.name) \(tensor.dtype.rawValue) \(RunFiles.hexadecimal(bytes))"
        }
        return RunFiles.digest(text.utf8)
    }

    func path(_ name: String) -> String { "\(runFolder)/\(name)" }
}

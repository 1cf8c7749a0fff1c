// A run of one task: what is frozen once, what learns in epochs, and the best of them kept.

import FoundationEssentials
import GraftImages
import GraftNetworks
import GraftTensors
import OrderedCollections

/// A training run of a task.
final class TaskTrainer<Goal: Objective>: TaskRun {
    let input: TrainingInput
    let options: TrainingOptions
    private(set) var objective: Goal
    let runFolder: String
    private let features: any FeatureStore
    let engine: any TrainingEngine
    let crew: any Crew
    let report: @Sendable (TrainingEvent) -> Void
    private var skipped: [Int: String] = [:]
    private(set) var skippedCount = 0
    private var reused = 0

    init(_ site: RunSite) throws {
        input = site.input
        options = site.options
        runFolder = site.folder
        features = site.features
        engine = site.engine
        crew = site.crew
        // One process speaks and writes for all.
        if crew.rank == 0 { report = site.report } else { report = { _ in } }
        objective = try Goal(
            ObjectiveSetting(
                options: options, settings: input.settings, classes: input.classes,
                unseen: input.unseen, preprocessing: input.preprocessing,
                network: input.graph.name))
        if crew.count > 1, let reason = Goal.traits.requiresOneProcess {
            throw TrainingError.option(
                "number of processes", expected: reason, found: "\(crew.count)")
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
    }

    /// Writes a file of the run, once for all processes.
    func write(_ text: String, _ name: String) throws {
        if crew.rank == 0 { try RunFiles.write(text, to: path(name)) }
    }

    func run(resume: Bool) throws -> TrainingResult {
        try RunFiles.makeFolder(runFolder)
        report(.data(survey()))
        let parts = try parts()
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

        let site = HeadSite(
            trainer: self, parts: parts, weights: weights, training: training,
            validation: validation)
        var loop: TrainingLoop<Goal>?
        do {
            var result: TrainingResult
            if options.head.isNeighbours {
                result = try objective.compare(in: site)
            } else {
                var learning = try self.loop(parts, weights, random)
                defer { loop = learning }
                if options.head == .logistic {
                    try objective.fit(&learning, in: site)
                } else {
                    let identity = try identity(parts, names, weights)
                    try learn(&learning, training, validation, identity: identity, resume: resume)
                }
                result = try finish(&learning, in: site)
            }
            result.split = split
            return result
        } catch let error as TrainingError where error.isCommon {
            let error = try explained(error, parts, training)
            record(error, loop, in: site)
            throw error
        }
    }

    /// The training and validation images, class by class.
    private func survey() -> TrainingData {
        let (training, validation) = (
            objective.survey(input.training), objective.survey(input.validation)
        )
        var data = TrainingData(
            classes: input.classes, training: training.images, validation: validation.images,
            trainingImages: input.training.count, validationImages: input.validation.count)
        data.boxes = zip(training.objects, validation.objects).map(+)
        return data
    }

    /// The network of the run, and what the task makes of its outputs.
    private func parts() throws -> Parts {
        let classes = input.classes.count
        guard classes > (Goal.traits.labelling == .oneClass ? 1 : 0) else {
            throw TrainingError.option(
                "number of classes", expected: "2 or more", found: "\(classes)")
        }
        let shape = input.preprocessing.shape
        let network = try objective.network(on: input.graph, input: shape)
        try objective.settle(on: network, input: shape)
        return try Parts(network, outputs: objective.outputs(of: network), input, options)
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
        _ loop: inout TrainingLoop<Goal>, _ training: Samples, _ validation: Samples,
        identity: String,
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

    func findRate() throws -> RateSearch {
        let parts = try parts()
        var random = RandomSource(seed: options.seed)
        let weights = startWeights(parts, &random)
        let (training, _) = try readSamples(parts, weights)
        var loop = try loop(parts, weights, random)
        return try loop.findRate(training)
    }

    private func loop(_ parts: Parts, _ weights: StateDict, _ random: RandomSource) throws
        -> TrainingLoop<Goal>
    {
        let shape = parts.batch((options.batchSize + crew.count - 1) / crew.count)
        let network = try engine.learner(
            parts.suffix, weights: weights, input: shape,
            trainable: parts.trainable, moving: parts.moving, crew: crew, outputs: parts.outputs)
        var loop = try TrainingLoop(
            learner: objective.learner(network), options: options, objective: objective,
            shape: shape, random: random, crew: crew,
            pace: { [options] in parts.pace(of: $0, options) })
        loop.progress = { [report, epochs = options.epochs] done, total, epoch in
            report(.step(done: done, of: total, epoch: epoch, epochs: epochs))
        }
        return loop
    }

    private func finish(_ loop: inout TrainingLoop<Goal>, in site: HeadSite<Goal>) throws
        -> TrainingResult
    {
        try loop.load(loop.bestWeights)
        let temperature =
            options.calibrates ? try calibrate(&loop, site.parts, site.validation) : nil
        let score = try loop.evaluate(site.validation)
        // Frozen weights are handed on untouched, so that their bytes stay as they came.
        var result = site.weights
        for (parameter, values) in zip(loop.kept, loop.bestWeights)
        where parameter.name != ProxyLearner.name {
            result[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
        return try conclude(
            site.parts.model, result, score, history: loop.history,
            best: loop.history[loop.best].epoch, in: site, temperature: temperature)
    }

    /// Writes what a run leaves, and makes its result.
    func conclude(
        _ graph: Graph, _ weights: StateDict, _ score: Goal.Score, history: [EpochRecord],
        best: Int, in site: HeadSite<Goal>, temperature: Temperature? = nil,
        neighbours: Neighbours? = nil
    ) throws -> TrainingResult {
        let (metrics, figures) = try metrics(
            history, best: best, score, in: site, temperature: temperature)
        if crew.rank == 0 {
            try describe(weights, metrics, figures, score, history, in: site)
        }
        var result = weights
        try objective.finish(&result, of: graph)
        return TrainingResult(
            graph: graph, weights: result, classes: input.classes, history: history,
            metrics: metrics, reusedFeatures: reused, neighbours: neighbours)
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
            preprocessing: input.preprocessing, views: Views(options), frozen: frozen,
            needsSizes: Goal.traits.needsObjects, crew: crew,
            skip: { item, reason in
                self.skippedCount += 1
                self.skipped[item.classIndex] = self.skipped[item.classIndex] ?? reason
                self.report(.skipped(path: item.path, reason: reason))
                advance(false)
            }, progress: advance)
        let training = try reader.read(input.training)
        try objective.require(training.items, reasons: skipped)
        reader.views = .plain
        let validation = try reader.read(input.validation)
        let learned = Dictionary(
            zip(training.digests, training.items), uniquingKeysWith: { first, _ in first })
        for (digest, item) in zip(validation.digests, validation.items) {
            if let twin = learned[digest] {
                report(.duplicate(path: item.path, of: twin.path))
            }
        }
        try objective.prepare(training: training.items, validation: validation.items)
        return (training, validation)
    }

    /// What must be the same for a checkpoint to be of this run; more epochs may be asked for.
    private func identity(_ parts: Parts, _ split: Split, _ weights: StateDict) throws -> String {
        var settings = options
        settings.patience = 0
        // What is done to the best epoch in the end.
        settings.calibrates = false
        if settings.schedule == .constant || settings.schedule == .plateau { settings.epochs = 1 }
        let texts = [
            try RunFiles.json(RunOptions(settings, settings: input.settings)),
            try RunFiles.json(split),
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

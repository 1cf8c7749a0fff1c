// A new head on a model, learned from a folder of photos.

internal import FoundationEssentials
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

extension Model {
    /// How a run goes about it.
    public enum Recipe: String, Sendable, CaseIterable {
        /// As the options say.
        case plain
        /// First the linear head at its optimum on the frozen backbone, then, from there, what the
        /// options say: a random head would tear at what the backbone knows.
        case headFirst
    }

    /// Trains a head for the photos in `data` on this backbone and writes the model to
    /// `runFolder/model.safetensors`, beside `split.json`, `log.csv`, `metrics.json` and the
    /// checkpoint.
    ///
    /// - Parameters:
    ///   - data: labelled photos: see `PhotoFolder.open`.
    ///   - settings: settings of one task, which is learned then; nil learns the task that `data` is read
    ///     for, or else suggests, by its defaults.
    ///   - validation: photos of the same classes; without them a part of `data` is kept back,
    ///     stratified by class and chosen by the seed.
    ///   - cacheFolder: where features of the frozen part are kept for the next run.
    ///   - resume: whether to go on from the checkpoint in `runFolder`.
    ///   - command: what repeats the run, for its report.
    ///   - crew: the processes that train together; the first of them writes.
    ///   - report: told what happens while it happens.
    /// - Returns: the trained model, and its history and validation metrics.
    /// - Throws: `PhotoFolderError`, `TrainingError` and what Execution throws; `CancellationError` at
    ///   the next batch once the task is cancelled. The run can be resumed then, to the same numbers.
    public func train(
        on data: PhotoSource, options: TrainingOptions, task settings: (any TaskSettings)? = nil,
        recipe: Recipe = .plain,
        runFolder: String, cacheFolder: String, resume: Bool = false, command: String = "",
        crew: any Crew = Alone(), report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) throws -> (model: Model, result: TrainingResult) {
        var input = try trainingInput(data, options, settings, command: command)
        let path = runFolder + "/model.safetensors"
        if recipe == .headFirst {
            let first = try Trainer(
                input, options: headOptions(input, options), runFolder: runFolder + "/head",
                features: CachedFeatures(root: cacheFolder), crew: crew, report: report)
            do {
                input.head = Self.head(of: try first.run())
            } catch let error as TrainingError where error.isCommon {
                // What looks into the run's folder finds why there is no more of it.
                if crew.rank == 0 {
                    RunFolder.adoptFailure(of: "head", in: runFolder, report: report)
                    if !resume { try? FileManager.default.removeItem(atPath: path) }
                }
                throw error
            }
        }
        let trainer = try Trainer(
            input, options: options, runFolder: runFolder,
            features: CachedFeatures(root: cacheFolder), crew: crew,
            report: report)
        let result: TrainingResult
        do {
            result = try trainer.run(resume: resume)
        } catch let error as TrainingError where error.isCommon {
            // The folder tells of this run now: an earlier one's model would be taken for its.
            if crew.rank == 0, !resume { try? FileManager.default.removeItem(atPath: path) }
            throw error
        }
        var trained = self
        trained.graph = result.graph
        trained.weights = result.weights
        let traits = input.task.traits
        trained.labels = traits.isVector ? [] : result.classes
        trained.task = input.task
        trained.preprocessing = input.preprocessing
        trained.thresholds = result.metrics.figures.thresholds
        if traits.hasThresholds, trained.thresholds.isEmpty {
            trained.thresholds = result.classes.map { _ in 0.5 }
        }
        trained.neighbours = result.neighbours
        trained.training = result.split.map { TrainingOrigin($0) }
        if crew.rank == 0 { try trained.write(to: path) }
        return (trained, result)
    }

    /// What learning rate suits a run: growing ones are tried, nothing but features is kept.
    public func findRate(
        on data: PhotoSource, options: TrainingOptions, task settings: (any TaskSettings)? = nil,
        cacheFolder: String, report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) throws -> RateSearch {
        let input = try trainingInput(data, options, settings, command: "")
        return try Trainer(
            input, options: options, runFolder: "", features: CachedFeatures(root: cacheFolder),
            report: report
        ).findRate()
    }

    private func trainingInput(
        _ data: PhotoSource, _ options: TrainingOptions, _ settings: (any TaskSettings)?,
        command: String
    ) throws -> TrainingInput {
        let photos = try PhotoFolder.open(data.path, data.reading)
        try photos.requireForTraining()
        let task =
            settings.map { type(of: $0).task } ?? data.reading.task ?? photos.labelling.usualTask
        guard task.traits.labelling == photos.labelling else {
            throw PhotoFolderError.otherTask(
                data.path, expected: task, found: photos.labelling.usualTask)
        }
        let (training, kept, unseen) = try Model.split(photos, data, options, task)
        var preprocessing = preprocessing
        if task.traits.seesWholeImage {
            (preprocessing.resize, preprocessing.shorterSide) = (.squash, nil)
        }
        var input = TrainingInput(
            graph: graph, weights: weights, preprocessing: preprocessing,
            modelDigest: source.sha256, classes: photos.classes + unseen, training: training,
            validation: kept)
        input.origin = file ?? source.reference
        input.command = command
        input.task = task
        input.settings = settings
        input.unseen = unseen.count
        return input
    }

    /// How the head is found first: the linear one at its optimum; of labels and numbers, by steps.
    private func headOptions(_ input: TrainingInput, _ options: TrainingOptions)
        -> TrainingOptions
    {
        var first = TrainingOptions(mode: .features)
        first.head =
            input.task.traits.hasOptimum && options.head == .linear
            ? .logistic : options.head
        // Never longer than what was asked for.
        first.epochs = min(first.epochs, options.epochs)
        first.patience = options.patience
        first.labelSmoothing = options.labelSmoothing
        first.balance = options.balance == .sampling ? .none : options.balance
        first.augmentation = options.augmentation
        first.flip = options.flip
        first.cacheViews = options.cacheViews
        first.cacheElement = options.cacheElement
        first.dropout = options.dropout
        first.seed = options.seed
        first.validationFraction = options.validationFraction
        return first
    }

    /// The parameters of the head that a run found.
    private static func head(of result: TrainingResult) -> StateDict {
        var head = StateDict()
        for node in result.graph.nodes.dropFirst(result.graph.features + 1) {
            for parameter in node.parameters {
                head[parameter.name] = result.weights[parameter.name]
            }
        }
        return head
    }

    /// The photos to learn from, those to choose the best epoch by, and the classes that only those
    /// have: embeddings are for classes that were never learned from too.
    private static func split(
        _ photos: PhotoFolder, _ data: PhotoSource, _ options: TrainingOptions,
        _ task: LearningTask
    ) throws -> ([PhotoFolder.Item], [PhotoFolder.Item], unseen: [String]) {
        // Test images are for evaluation alone.
        let training = photos.only(.training)
        guard let validation = data.validation else {
            let held = photos.only(.validation).items
            guard held.isEmpty else { return (training.items, held, []) }
            let split = try Split.stratified(
                training, seed: options.seed, fraction: options.validationFraction)
            let items = split.items(of: training)
            return (items.training, items.validation, [])
        }
        var reading = data.reading
        reading.task = task
        var held = try PhotoFolder.open(validation, reading)
        if held.items.contains(where: { $0.split == .validation }) { held = held.only(.validation) }
        if task.traits.allowsUnseenClasses {
            let unseen = held.classes.filter { !photos.classes.contains($0) }
            let classes = photos.classes + unseen
            let items = held.items.map { item in
                var item = item
                item.classIndex =
                    classes.firstIndex(of: held.classes[item.classIndex]) ?? item.classIndex
                return item
            }
            return (training.items, items, unseen)
        }
        guard held.classes == photos.classes else {
            func lacks(_ names: [String], _ others: [String]) -> String? {
                let missing = names.filter { !others.contains($0) }
                guard !missing.isEmpty else { return nil }
                return missing.prefix(5).map { "`\($0)`" }.joined(separator: ", ")
                    + (missing.count > 5 ? " and \(missing.count - 5) more" : "")
            }
            let differences = [
                lacks(photos.classes, held.classes).map { "it has no \($0)" },
                lacks(held.classes, photos.classes).map { "only it has \($0)" },
                held.classes.sorted() == photos.classes.sorted()
                    ? "they are in another order" : nil,
            ].compactMap(\.self)
            throw ModelError.unusable(
                validation,
                reason: "its classes differ from those of `\(photos.path)`: "
                    + differences.joined(separator: ", "),
                hint: "give both the same classes")
        }
        return (training.items, held.items, [])
    }
}

/// Where labelled photos are and how they are read.
public struct PhotoSource: Sendable {
    /// A folder, a table or a file of annotations.
    public var path: String
    /// Photos to choose the best epoch by; without them, a part of the others.
    public var validation: String?
    /// How labels are read.
    public var reading: PhotoReading

    /// Labelled photos.
    public init(_ path: String, validation: String? = nil, reading: PhotoReading = PhotoReading()) {
        self.path = path
        self.validation = validation
        self.reading = reading
    }
}

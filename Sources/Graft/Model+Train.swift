// A new head on a model, learned from a folder of photos.

public import GraftTraining

extension Model {
    /// Trains a classifier of the photos in `folder` on this backbone and writes it to
    /// `runFolder/model.safetensors`, beside `split.json`, `log.csv`, `metrics.json` and the
    /// checkpoint.
    ///
    /// - Parameters:
    ///   - folder: one folder of photos per class.
    ///   - validation: a folder of the same classes; without it a part of `folder` is kept back,
    ///     stratified by class and chosen by the seed.
    ///   - cacheFolder: where features of the frozen part are kept for the next run.
    ///   - resume: whether to go on from the checkpoint in `runFolder`.
    ///   - command: what repeats the run, for its report.
    ///   - report: told what happens while it happens.
    /// - Returns: the trained model, and its history and validation metrics.
    /// - Throws: `PhotoFolderError`, `TrainingError` and what Execution throws.
    public func train(
        on folder: String, validation: String? = nil, options: TrainingOptions, runFolder: String,
        cacheFolder: String, resume: Bool = false, command: String = "",
        report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) throws -> (model: Model, result: TrainingResult) {
        let photos = try PhotoFolder.open(folder)
        let (training, kept) = try Model.split(photos, validation: validation, options)
        var input = TrainingInput(
            graph: graph, weights: weights, preprocessing: preprocessing,
            modelDigest: source.sha256, classes: photos.classes, training: training,
            validation: kept)
        input.command = command
        let trainer = try Trainer(
            input, options: options, runFolder: runFolder, cacheFolder: cacheFolder, report: report)
        let result = try trainer.run(resume: resume)
        var trained = self
        trained.graph = result.graph
        trained.weights = result.weights
        trained.labels = result.classes
        try trained.write(to: runFolder + "/model.safetensors")
        return (trained, result)
    }

    /// The photos to learn from and those to choose the best epoch by.
    private static func split(
        _ photos: PhotoFolder, validation: String?, _ options: TrainingOptions
    ) throws -> ([PhotoFolder.Item], [PhotoFolder.Item]) {
        guard let validation else {
            let split = try Split.stratified(
                photos, seed: options.seed, fraction: options.validationFraction)
            let items = split.items(of: photos)
            return (items.training, items.validation)
        }
        let held = try PhotoFolder.open(validation)
        guard held.classes == photos.classes else {
            throw ModelError.unusable(
                validation, reason: "its classes differ from those of `\(photos.path)`",
                hint: "give both the same folders")
        }
        return (photos.items, held.items)
    }
}

// What a run leaves: its metrics, its description, its report and its worst mistakes.

import GraftImages
import GraftNetworks
import GraftTensors

extension TaskTrainer {
    /// Writes `metrics.json` and `log.csv`; without a score where no epoch was finished.
    func metrics(
        _ history: [EpochRecord], best: Int, _ found: Goal.Score?, in site: HeadSite<Goal>,
        temperature: Temperature? = nil, failure: RunFailure? = nil
    ) throws -> (metrics: TrainingMetrics, figures: Goal.Metrics) {
        let score = site.validation.items.isEmpty ? nil : found
        let figures = try objective.metrics(of: score)
        var metrics = TrainingMetrics(
            task: input.task, classes: input.classes, bestEpoch: best,
            epochs: history.last?.epoch ?? 0, trainingPhotos: site.training.items.count,
            validationPhotos: site.validation.items.count, skippedPhotos: skippedCount,
            figures: figures)
        metrics.loss = score.flatMap { $0.isLossKnown ? $0.loss : nil }
        metrics.failure = failure
        metrics.temperature = temperature
        try write(try RunFiles.json(metrics, pretty: true) + "\n", "metrics.json")
        try write(EpochRecord.csv(history, input.task), "log.csv")
        return (metrics, figures)
    }

    /// Writes `run.json`, `report.html` and, of heads that no epochs have added them to, TensorBoard's events.
    func describe(
        _ weights: StateDict, _ metrics: TrainingMetrics, _ figures: Goal.Metrics,
        _ found: Goal.Score?, _ history: [EpochRecord], in site: HeadSite<Goal>
    ) throws {
        let run = RunDescription(
            command: input.command, architecture: input.graph.name,
            modelDigest: input.modelDigest, options: RunOptions(options, settings: input.settings),
            preprocessing: input.preprocessing, classes: input.classes,
            task: input.task, trainingCounts: objective.counts(site.training.items))
        try RunFiles.write(try RunFiles.json(run, pretty: true) + "\n", to: path("run.json"))
        let score = site.validation.items.isEmpty ? nil : found
        let mistakes = try score.map { try self.mistakes($0, figures, weights, in: site) } ?? []
        let body = objective.reportPart(of: run, metrics: figures, score: score)
        try RunFiles.write(
            try RunReport.html(
                run, metrics, history, part: body,
                mistakes: mistakes, note: objective.mistakesNote),
            to: path("report.html"))
        if !options.head.hasEpochs {
            try EventFile.write(history, input.task, folder: runFolder)
        }
    }

    /// The validation images that are answered worst, as the network sees them.
    private func mistakes(
        _ score: Goal.Score, _ figures: Goal.Metrics, _ weights: StateDict,
        in site: HeadSite<Goal>, limit: Int = 12
    ) throws -> [Mistake] {
        let validation = site.validation
        let wrong = try objective.mistakes(in: score, figures)
        let shape = input.preprocessing.shape
        let looking =
            wrong.isEmpty || !objective.explainsMistakes || options.head.isNeighbours
            ? nil
            : try ActivationMap(site.parts.model, weights: weights, input: shape, engine: engine)
        var mistakes: [Mistake] = []
        for entry in wrong.prefix(limit) {
            try Task.checkCancellation()
            let item = validation.items[entry.image]
            guard let photo = try? item.open(covering: input.preprocessing.covering) else {
                continue
            }
            let seen = Tensor(shape: shape) { input.preprocessing.write(photo, into: $0) }
            let picture = input.preprocessing.picture(of: seen.floats)
            var pictures = [picture]
            if let looking {
                let map = try looking.map(seen, label: entry.shown)
                pictures.append(picture.under(map, rows: looking.rows, columns: looking.columns))
            }
            if let other = entry.other.map({ validation.items[$0] }) {
                guard let photo = try? other.open(covering: input.preprocessing.covering) else {
                    continue
                }
                let seen = Tensor(shape: shape) { input.preprocessing.write(photo, into: $0) }
                pictures.append(input.preprocessing.picture(of: seen.floats))
            }
            mistakes.append(
                Mistake(
                    path: item.relativePath, truth: entry.truth, prediction: entry.prediction,
                    probability: entry.probability,
                    pictures: pictures.map { $0.resized(width: 160, height: 160, .bilinear) }))
        }
        return mistakes
    }
}

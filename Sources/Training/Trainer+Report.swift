// What a run leaves: its metrics, its description, its report and its worst mistakes.

import GraftImages
import GraftNetworks
import GraftTensors

extension Trainer {
    /// Writes `metrics.json` and `log.csv`; without a score where no epoch was finished.
    func conclude(
        _ history: [EpochRecord], best: Int, _ found: TrainingLoop.Score?, _ validation: Samples,
        _ training: Samples, temperature: Temperature? = nil, failure: RunFailure? = nil
    ) throws -> TrainingMetrics {
        let held = !validation.items.isEmpty && found != nil
        let score = found ?? noScore
        let classifies = held && input.task == .classification
        var metrics = TrainingMetrics(
            task: input.task, classes: input.classes, bestEpoch: best,
            epochs: history.last?.epoch ?? 0, trainingPhotos: training.items.count,
            validationPhotos: validation.items.count, skippedPhotos: skippedCount,
            loss: held && score.isLossKnown ? score.loss : nil,
            accuracy: classifies ? score.confusion.accuracy : nil,
            top5: classifies && input.classes.count > 5 ? score.top5 : nil,
            macroF1: classifies ? score.confusion.macroF1 : nil,
            scores: classifies
                ? ScoreSummary(
                    probabilities: score.probabilities, labels: validation.labels,
                    classes: input.classes.count) : nil,
            perClass: score.confusion.perClass, confusion: score.confusion)
        metrics.failure = failure
        metrics.temperature = temperature
        metrics.averages = classifies ? AveragedScores(score.confusion) : nil
        switch input.task {
        case .multiLabel where held:
            metrics.labels = LabelMetrics(
                probabilities: score.probabilities, targets: validation.targets,
                names: input.classes)
            metrics.macroF1 = metrics.labels?.macroF1
        case .regression where held:
            metrics.values = ValueMetrics(
                answers: score.probabilities.map(inUnits),
                targets: validation.targets.map(inUnits), names: input.classes)
        case .detection where held: metrics.boxes = score.boxes
        case .embedding where held:
            metrics.retrieval = try retrieval(score, validation)?.metrics
        default: break
        }
        try write(try RunFiles.json(metrics, pretty: true) + "\n", "metrics.json")
        try write(EpochRecord.csv(history, input.task), "log.csv")
        return metrics
    }

    /// What nothing scores.
    var noScore: TrainingLoop.Score {
        TrainingLoop.Score(
            loss: 0, top5: 0,
            confusion: ConfusionMatrix(
                classes: input.task == .classification ? input.classes.count : 0))
    }

    /// Writes `run.json`, `report.html` and, of heads that no epochs have added them to, TensorBoard's events.
    func describe(
        _ parts: Parts, _ weights: StateDict, _ metrics: TrainingMetrics,
        _ training: Samples, _ validation: Samples, _ score: TrainingLoop.Score,
        _ history: [EpochRecord]
    ) throws {
        let run = RunDescription(
            command: input.command, architecture: input.graph.name,
            modelDigest: input.modelDigest, options: options, preprocessing: input.preprocessing,
            classes: input.classes,
            task: input.task, trainingCounts: counts(training))
        try RunFiles.write(try RunFiles.json(run, pretty: true) + "\n", to: path("run.json"))
        let mistakes = try self.mistakes(
            parts, weights, validation, score, metrics.labels?.labels.map(\.threshold) ?? [])
        let answers =
            input.task == .regression
            ? zip(validation.targets, score.probabilities).map { (inUnits($0), inUnits($1)) } : []
        try RunFiles.write(
            try RunReport.html(run, metrics, history, mistakes, answers), to: path("report.html"))
        if !options.head.hasEpochs {
            try EventFile.write(history, input.task, folder: runFolder)
        }
    }

    /// The validation photos that are most surely taken for something else.
    private func mistakes(
        _ parts: Parts, _ weights: StateDict, _ validation: Samples, _ score: TrainingLoop.Score,
        _ thresholds: [Float], limit: Int = 12
    ) throws -> [Mistake] {
        let wrong =
            try input.task == .embedding
            ? mistaken(validation, score) : self.wrong(validation, score, thresholds)
        let shape = input.preprocessing.shape
        let looking =
            wrong.isEmpty || input.task == .regression || input.task == .embedding
                || options.head.isNeighbours
            ? nil
            : try ActivationMap(parts.model, weights: weights, input: shape, engine: engine)
        var mistakes: [Mistake] = []
        for entry in wrong.prefix(limit) {
            try Task.checkCancellation()
            let item = validation.items[entry.photo]
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

    /// A photo that was answered wrong, in words; `shown` is the class whose map is drawn.
    struct Wrong {
        var photo: Int
        var shown: Int
        var truth: String
        var prediction: String
        var probability: Float?
        var weight: Float
        /// The photo that it was taken for, if it was one.
        var other: Int?
    }

    /// The photos that are answered wrong, the worst first; labels by where each holds from.
    private func wrong(
        _ validation: Samples, _ score: TrainingLoop.Score, _ thresholds: [Float]
    ) -> [Wrong] {
        var found: [Wrong] = []
        for (photo, row) in score.probabilities.enumerated() {
            switch input.task {
            case .classification:
                let best = row.withUnsafeBufferPointer { Ranking.best(of: $0) }
                let label = validation.labels[photo]
                guard best != label else { continue }
                found.append(
                    Wrong(
                        photo: photo, shown: best, truth: input.classes[label],
                        prediction: input.classes[best], probability: row[best], weight: row[best]))
            case .multiLabel:
                // The one label that is furthest from the truth.
                let target = validation.targets[photo]
                let missed = row.indices.filter {
                    (row[$0] >= thresholds[$0]) != (target[$0] > 0.5)
                }
                guard
                    let k = missed.max(by: {
                        abs(row[$0] - target[$0]) < abs(row[$1] - target[$1])
                    })
                else { continue }
                let name = input.classes[k]
                found.append(
                    Wrong(
                        photo: photo, shown: k, truth: target[k] > 0.5 ? name : "not \(name)",
                        prediction: target[k] > 0.5 ? "not \(name)" : name, probability: row[k],
                        weight: abs(row[k] - target[k])))
            case .regression:
                let truth = validation.targets[photo]
                let off = zip(row, truth).map { abs($0 - $1) }.max() ?? 0
                func words(_ numbers: [Float]) -> String {
                    inUnits(numbers).map { HTML.places(Double($0), 3) }.joined(separator: ", ")
                }
                found.append(
                    Wrong(
                        photo: photo, shown: 0, truth: words(truth), prediction: words(row),
                        probability: nil, weight: off))
            case .detection: break  // A photo has many answers.
            case .embedding: break  // See ``mistaken(_:_:)``.
            }
        }
        return found.sorted { $0.weight > $1.weight }
    }
}

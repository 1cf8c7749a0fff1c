// Heads that are not learned by steps: the linear one at its optimum, and the nearest photos.

import GraftNetworks
import GraftTensors

extension Trainer {
    /// The linear head at its optimum, once for each penalty of the path.
    func fit(
        _ loop: inout TrainingLoop, _ parts: Parts, _ training: Samples, _ validation: Samples
    ) throws {
        let features = try matrix(training, parts)
        let weights = options.balance == .none ? nil : balance(training).map(Double.init)
        let regression = LogisticRegression(
            features: features.numbers, width: training.count, labels: features.labels,
            classes: input.classes.count, weights: weights,
            labelSmoothing: Double(options.labelSmoothing))
        // Without photos to choose by, a middling penalty is the one that is tried.
        let path =
            validation.items.isEmpty
            ? [LogisticRegression.penalties[4]] : LogisticRegression.penalties
        for penalty in path {
            let head = try regression.fit(penalty: penalty)
            try loop.load([head.matrix, head.bias])
            let own = try loop.evaluate(training)
            let record = try loop.adopt(
                [head.matrix, head.bias], loss: own.loss, accuracy: own.measure,
                penalty: penalty, validation)
            report(.epoch(record, isBest: loop.best == loop.history.count - 1))
            if options.patience > 0, loop.sinceBest >= options.patience { break }
        }
    }

    /// All views of all photos, row by row, and their classes.
    private func matrix(_ samples: Samples, _ parts: Parts) throws -> (
        numbers: [Float], labels: [Int]
    ) {
        if let broken = try samples.firstBroken() {
            throw TrainingError.brokenFeatures(
                of: samples.items[broken].path, after: parts.model.nodes[parts.cut].name)
        }
        var labels: [Int] = []
        let rows = samples.views * samples.items.count
        var numbers = [Float](repeating: 0, count: rows * samples.count)
        try numbers.withUnsafeMutableBufferPointer { target in
            for view in 0..<samples.views {
                for photo in samples.items.indices {
                    let row = labels.count
                    try samples.fill(
                        photo, view: view,
                        .init(rebasing: target[(row * samples.count)..<((row + 1) * samples.count)])
                    )
                    labels.append(samples.labels[photo])
                }
            }
        }
        return (numbers, labels)
    }

    /// The nearest photos as a head: there is nothing to learn but how many of them to ask.
    func findNeighbours(
        _ parts: Parts, _ weights: StateDict, _ training: Samples, _ validation: Samples
    ) throws -> TrainingResult {
        let bank = try matrix(training, parts)
        let held = try matrix(validation, parts)
        var head = Neighbours(
            features: bank.numbers, width: training.count, labels: bank.labels, count: 5)
        var history: [EpochRecord] = []
        var best = 0
        var score = TrainingLoop.Score(
            loss: 0, top5: 0, confusion: ConfusionMatrix(classes: input.classes.count))
        let choices = validation.items.isEmpty ? [head.count] : Neighbours.counts
        for count in choices where count <= bank.labels.count || count == choices[0] {
            head.count = min(count, bank.labels.count)
            let found = try head.score(held.numbers, held.labels, classes: input.classes.count)
            // A photo's nearest neighbour among those learned from is itself: training accuracy
            // would say nothing.
            let record = EpochRecord(
                epoch: history.count + 1, trainingLoss: 0, trainingAccuracy: 0,
                validationLoss: validation.items.isEmpty ? nil : found.loss,
                validationAccuracy: validation.items.isEmpty ? nil : found.measure,
                learningRate: 0, neighbours: head.count)
            if history.isEmpty || record.isBetter(than: history[best]) {
                (best, score) = (history.count, found)
            }
            history.append(record)
            report(.epoch(record, isBest: best == history.count - 1))
        }
        head.count = history[best].neighbours ?? head.count
        let graph = try input.graph.withoutHead()
        var result = StateDict()
        for parameter in graph.parameters { result[parameter.name] = weights[parameter.name] }
        let metrics = try conclude(
            history, best: history[best].epoch, score, validation, training)
        if crew.rank == 0 {
            try describe(parts, result, metrics, training, validation, score, history)
        }
        return TrainingResult(
            graph: graph, weights: result, classes: input.classes, history: history,
            metrics: metrics, reusedFeatures: reused, neighbours: head)
    }
}

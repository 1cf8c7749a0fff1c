// Heads that are not learned by steps: the linear one at its optimum, and the nearest images.

import GraftNetworks
import GraftTensors

extension Classification {
    /// The linear head at its optimum, once for each penalty of the path.
    func fit(
        _ loop: inout TrainingLoop<Classification>, in site: HeadSite<Classification>
    ) throws {
        let options = setting.options
        let features = try site.matrix(site.training)
        let weights =
            options.balance == .none ? nil : balance(site.training.items).map(Double.init)
        let regression = LogisticRegression(
            features: features.numbers, width: site.training.count, labels: features.labels,
            classes: setting.classes.count, weights: weights,
            labelSmoothing: Double(options.labelSmoothing))
        // Without images to choose by, a middling penalty is the one that is tried.
        let path =
            site.validation.items.isEmpty
            ? [LogisticRegression.penalties[4]] : LogisticRegression.penalties
        for penalty in path {
            let head = try regression.fit(penalty: penalty)
            try loop.load([head.matrix, head.bias])
            let own = try loop.evaluate(site.training)
            let record = try loop.adopt(
                [head.matrix, head.bias], loss: own.loss, accuracy: own.measure,
                penalty: penalty, site.validation)
            site.trainer.report(.epoch(record, isBest: loop.best == loop.history.count - 1))
            if options.patience > 0, loop.sinceBest >= options.patience { break }
        }
    }

    /// The nearest images as a head: there is nothing to learn but how many of them to ask.
    func compare(in site: HeadSite<Classification>) throws -> TrainingResult {
        let bank = try site.matrix(site.training)
        let held = try site.matrix(site.validation)
        var head = Neighbours(
            features: bank.numbers, width: site.training.count, labels: bank.labels, count: 5)
        var history: [EpochRecord] = []
        var best = 0
        var score = nothingJudged
        let isHeld = !site.validation.items.isEmpty
        for count in isHeld ? Neighbours.counts : [head.count]
        where count <= bank.labels.count || history.isEmpty {
            head.count = min(count, bank.labels.count)
            let found = try self.score(
                try head.probabilities(held.numbers, classes: setting.classes.count), held.labels)
            // An image's nearest neighbour among those learned from is itself: training accuracy
            // would say nothing.
            let record = EpochRecord(
                epoch: history.count + 1, trainingLoss: 0, trainingAccuracy: 0,
                validationLoss: isHeld ? found.loss : nil,
                validationAccuracy: isHeld ? found.measure : nil,
                learningRate: 0, neighbours: head.count)
            if history.isEmpty || record.isBetter(than: history[best]) {
                (best, score) = (history.count, found)
            }
            history.append(record)
            site.trainer.report(.epoch(record, isBest: best == history.count - 1))
        }
        head.count = history[best].neighbours ?? head.count
        let graph = try site.trainer.input.graph.withoutHead()
        var result = StateDict()
        for parameter in graph.parameters { result[parameter.name] = site.weights[parameter.name] }
        return try site.trainer.conclude(
            graph, result, score, history: history, best: history[best].epoch, in: site,
            neighbours: head)
    }

    /// The score of the votes of neighbours.
    private func score(_ votes: [[Float]], _ truth: [Int]) throws -> Score {
        var score = nothingJudged
        for (row, label) in zip(votes, truth) {
            score.answers.add(row, label: label)
            // A class that no neighbour has is not impossible.
            score.loss -= logarithm(max(Double(row[label]), 1e-3))
        }
        score.loss /= Double(max(truth.count, 1))
        return score
    }
}

extension HeadSite {
    /// All views of all images, row by row, and their classes.
    fileprivate func matrix(_ samples: Samples) throws -> (numbers: [Float], labels: [Int]) {
        if let broken = try samples.firstBroken() {
            throw TrainingError.brokenFeatures(
                of: samples.items[broken].path, after: parts.model.nodes[parts.cut].name)
        }
        var labels: [Int] = []
        let rows = samples.views * samples.items.count
        var numbers = [Float](repeating: 0, count: rows * samples.count)
        try numbers.withUnsafeMutableBufferPointer { target in
            for view in 0..<samples.views {
                for image in samples.items.indices {
                    let row = labels.count
                    try samples.fill(
                        image, view: view,
                        .init(rebasing: target[(row * samples.count)..<((row + 1) * samples.count)])
                    )
                    labels.append(samples.items[image].classIndex)
                }
            }
        }
        return (numbers, labels)
    }
}

// How well a network does: on photos that it was not shown, and as it meets those that it learns from.

import GraftTensors

extension TrainingLoop {
    /// Scores samples, without dropout and smoothing.
    func evaluate(_ samples: Samples) throws -> Score {
        var score = Score(
            loss: 0, top5: 0,
            confusion: ConfusionMatrix(classes: task == .classification ? classes : 0))
        let all = Array(samples.items.indices)
        var outputs = [Float](repeating: 0, count: all.count * classes)
        let own = crew.own(all)
        for start in stride(from: 0, to: own.count, by: shape[0]) {
            try Task.checkCancellation()
            let photos = Array(own[start..<min(start + shape[0], own.count)])
            let views = [Int](repeating: 0, count: photos.count)
            let answers = try learner.forward(
                try batch(samples, photos, views), dropoutSeed: nil)
            answers.withFloats { floats in
                for (row, photo) in photos.enumerated() {
                    for k in 0..<classes {
                        outputs[photo * classes + k] = floats[row * classes + k]
                    }
                }
            }
        }
        if crew.count > 1 { try outputs.withUnsafeMutableBufferPointer { try crew.sum($0) } }
        if let detector { return judge(outputs, samples, detector) }
        if let embedding = options.embedding { return try judge(outputs, samples, embedding) }
        outputs.withUnsafeBufferPointer { outputs in
            for photo in all {
                judge(
                    .init(rebasing: outputs[(photo * classes)..<((photo + 1) * classes)]), samples,
                    photo, &score)
            }
        }
        let count = Double(max(all.count, 1))
        score.loss /= count
        score.top5 /= count
        score.measure =
            task == .classification
            ? score.confusion.accuracy : Self.measure(task, score.probabilities, samples.targets)
        return score
    }

    private func judge(
        _ scores: UnsafeBufferPointer<Float>, _ samples: Samples, _ photo: Int,
        _ score: inout Score
    ) {
        if task != .regression { score.logits.append(Array(scores)) }
        switch task {
        case .classification:
            let label = samples.labels[photo]
            score.loss += CrossEntropy().sum(logits: scores, classes: classes, labels: [label])
            score.confusion.add(truth: label, prediction: Ranking.best(of: scores))
            score.top5 += Ranking.isHit(label, within: 5, of: scores) ? 1 : 0
            score.probabilities.append(Ranking.softmax(scores))
        case .multiLabel:
            score.loss += DenseLoss.binaryCrossEntropy(labelSmoothing: 0).sum(
                scores, width: classes, targets: [samples.targets[photo]])
            score.probabilities.append(scores.map { Float(sigmoid(Double($0))) })
        case .regression:
            score.loss += DenseLoss.squaredError.sum(
                scores, width: classes, targets: [samples.targets[photo]])
            score.probabilities.append(Array(scores))
        case .embedding, .detection: break  // All at once: a photo alone tells nothing.
        }
    }

    /// The answers of an epoch as they were met.
    struct Met {
        var correct = 0
        /// The mean loss of the last batch, over all processes; nil before the first.
        var batchLoss: Double?
        var answers: [[Float]] = []
        var targets: [[Float]] = []
        /// Of boxes: the photos, what was found in them, and what is there.
        var photos = 0
        var found: [Detection] = []
        var truth: [TrueBox] = []

        /// Puts together what the processes met.
        mutating func share(_ crew: any Crew, _ total: inout Double, photos: Int, width: Int) throws
        {
            guard crew.count > 1 else { return }
            // Losses as two floats each, so that nothing of a double is lost that counts.
            let high = Float(total)
            var sums = [high, Float(total - Double(high)), Float(correct)]
            try sums.withUnsafeMutableBufferPointer { try crew.sum($0) }
            total = Double(sums[0]) + Double(sums[1])
            correct = Int(sums[2])
            guard !targets.isEmpty || width > 0 else { return }
            let rows = (photos + crew.count - 1) / crew.count + 1
            for list in [\Met.answers, \.targets] {
                var table = [Float](repeating: 0, count: crew.count * rows * (width + 1))
                for (row, numbers) in self[keyPath: list].enumerated() where row < rows {
                    let at = (crew.rank * rows + row) * (width + 1)
                    table[at] = 1
                    for (k, number) in numbers.enumerated() { table[at + 1 + k] = number }
                }
                try table.withUnsafeMutableBufferPointer { try crew.sum($0) }
                self[keyPath: list] = stride(from: 0, to: table.count, by: width + 1)
                    .filter { table[$0] > 0 }.map { Array(table[($0 + 1)...($0 + width)]) }
            }
        }

        func measure(_ task: LearningTask, photos: Int) -> Double {
            task.hasClasses
                ? Double(correct) / Double(max(photos, 1))
                : TrainingLoop.measure(task, answers, targets)
        }
    }

    /// The mean average precision of labels, or R² of numbers; 0 where it is undefined.
    static func measure(_ task: LearningTask, _ answers: [[Float]], _ targets: [[Float]]) -> Double
    {
        guard let width = targets.first?.count else { return 0 }
        if task == .regression {
            let names = (0..<width).map { "\($0)" }
            return ValueMetrics(answers: answers, targets: targets, names: names).r2 ?? 0
        }
        let precisions = (0..<width).compactMap { k in
            ScoreMetrics.averagePrecision(answers.map { $0[k] }, targets.map { $0[k] > 0.5 })
        }
        return precisions.isEmpty ? 0 : precisions.reduce(0, +) / Double(precisions.count)
    }
}

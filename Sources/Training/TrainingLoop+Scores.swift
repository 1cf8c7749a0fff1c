// How well a network does on images that it was not shown.

import GraftTensors

extension TrainingLoop {
    /// Scores samples, without dropout and smoothing. Answers are judged batch by batch and not kept.
    func evaluate(_ samples: Samples) throws -> Goal.Score {
        var score = objective.nothingJudged
        let count = samples.items.count
        // The batches of all processes together, in the order of the images.
        let step = shape[0] * crew.count
        for start in stride(from: 0, to: count, by: step) {
            try Task.checkCancellation()
            let all = Array(start..<min(start + step, count))
            let own = crew.own(all)
            let plain = [Int](repeating: 0, count: all.count)
            var answers = try learner.forward(
                try batch(samples, own, Array(plain.prefix(own.count))), dropoutSeed: nil)
            if crew.count > 1 { answers = try gathered(answers, count: all.count) }
            let targets = try targets(samples, all, plain)
            OutputView.lend(answers[...]) {
                objective.judge($0, against: targets, learner: learner, in: &score)
            }
        }
        try objective.conclude(&score, images: count, learner: learner)
        return score
    }

    /// The answers of all processes to a batch that was dealt out in turns.
    private func gathered(_ answers: [Tensor], count: Int) throws -> [Tensor] {
        let own = crew.own(Array(0..<count))
        return try answers.map { answer in
            let width = answer.count / answer.shape[0]
            var shape = answer.shape
            shape[0] = count
            var rows = [Float](repeating: 0, count: count * width)
            answer.withFloats { floats in
                for (row, image) in own.enumerated() {
                    for k in 0..<width { rows[image * width + k] = floats[row * width + k] }
                }
            }
            try rows.withUnsafeMutableBufferPointer { try crew.sum($0) }
            return Tensor(rows, shape: shape)
        }
    }
}

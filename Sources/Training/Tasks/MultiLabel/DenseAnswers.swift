// Rows of answers and what they should have been, of tasks that answer few numbers for each image.

import GraftTensors

/// The answers of some images with their targets.
struct DenseAnswers: EpochTally {
    private(set) var answers: [[Float]] = []
    private(set) var targets: [[Float]] = []

    /// Takes an image.
    mutating func add(_ answer: [Float], against target: [Float]) {
        answers.append(answer)
        targets.append(target)
    }

    /// Takes a batch.
    mutating func add(_ output: OutputView, against batch: [DenseTarget]) {
        for (row, target) in batch.enumerated() { add(Array(output[row]), against: target.numbers) }
    }

    /// Puts together the rows that the processes have; their order is that of the ranks.
    mutating func join(_ crew: any Crew, images: Int) throws {
        // Who met no image does not know how wide a row is.
        var widest = [Float](repeating: 0, count: crew.count)
        widest[crew.rank] = Float(targets.first?.count ?? 0)
        try widest.withUnsafeMutableBufferPointer { try crew.sum($0) }
        let width = Int(widest.max() ?? 0)
        guard width > 0 else { return }
        let rows = (images + crew.count - 1) / crew.count + 1
        for list in [\DenseAnswers.answers, \.targets] {
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
}

extension TargetBatch<DenseTarget> {
    /// The targets, each blended with its second.
    var blended: [[Float]] {
        guard let blend else { return targets.map(\.numbers) }
        let (own, other) = (Float(blend.share), Float(1 - blend.share))
        return zip(targets, blend.others).map { first, second in
            zip(first.numbers, second.numbers).map { own * $0 + other * $1 }
        }
    }
}

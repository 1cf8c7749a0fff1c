// What a classifier got right: confusion matrix, precision, recall, F1 and top-k.

/// How often each class was taken for which: rows are the truth, columns the prediction.
public struct ConfusionMatrix: Sendable, Hashable, Codable {
    /// The counts, `rows[truth][prediction]`.
    public private(set) var rows: [[Int]]

    /// A matrix of zeros.
    package init(classes: Int) {
        rows = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    }

    /// A matrix of these counts, which must be square.
    package init(rows: [[Int]]) {
        precondition(rows.allSatisfy { $0.count == rows.count })
        self.rows = rows
    }

    /// Reads a list of rows.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let rows = try container.decode([[Int]].self)
        guard rows.allSatisfy({ $0.count == rows.count }) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a confusion matrix is square")
        }
        self.rows = rows
    }

    /// Writes a list of rows.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rows)
    }

    /// Counts one photo.
    package mutating func add(truth: Int, prediction: Int) { rows[truth][prediction] += 1 }

    /// The number of photos.
    public var count: Int { rows.reduce(0) { $0 + $1.reduce(0, +) } }
    /// The number of photos that were right.
    public var correct: Int { rows.indices.reduce(0) { $0 + rows[$1][$1] } }
    /// The share that was right; 0 of nothing.
    public var accuracy: Double { ratio(correct, count) }

    /// The scores of one class.
    package subscript(index: Int) -> ClassScores {
        let support = rows[index].reduce(0, +)
        let predicted = rows.reduce(0) { $0 + $1[index] }
        let hits = rows[index][index]
        return ClassScores(
            precision: ratio(hits, predicted), recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predicted), support: support, predicted: predicted)
    }

    /// The scores of every class in order.
    public var perClass: [ClassScores] { rows.indices.map { self[$0] } }

    /// The mean F1 of the classes that occur in the truth or in the predictions, as scikit-learn
    /// averages it.
    public var macroF1: Double {
        let present = perClass.filter { $0.support + $0.predicted > 0 }
        guard !present.isEmpty else { return 0 }
        return present.reduce(0) { $0 + $1.f1 } / Double(present.count)
    }

    private func ratio(_ part: Int, _ whole: Int) -> Double {
        whole == 0 ? 0 : Double(part) / Double(whole)
    }
}

/// The scores of one class; 0 / 0 is 0.
public struct ClassScores: Sendable, Hashable, Codable {
    /// Of the photos that were taken for this class, the share that was.
    public var precision: Double
    /// Of the photos of this class, the share that was found.
    public var recall: Double
    /// The harmonic mean of the two.
    public var f1: Double
    /// The number of photos of this class.
    public var support: Int
    /// The number of photos that were taken for it.
    public var predicted: Int
}

/// Rankings of scores.
package enum Ranking {
    /// The best `count` indices, best first; ties go to the lower index, NaN comes last.
    package static func top(_ count: Int, of scores: UnsafeBufferPointer<Float>) -> [Int] {
        let order = scores.indices.sorted { left, right in
            let (a, b) = (scores[left], scores[right])
            if a.isNaN || b.isNaN { return a.isNaN == b.isNaN ? left < right : b.isNaN }
            return a == b ? left < right : a > b
        }
        return Array(order.prefix(max(count, 0)))
    }

    /// The share of each score's exponential.
    package static func softmax(_ scores: UnsafeBufferPointer<Float>) -> [Float] {
        let highest = Double(scores.max() ?? 0)
        let powers = scores.map { exponential(Double($0) - highest) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }

    /// The best index, 0 of nothing.
    package static func best(of scores: UnsafeBufferPointer<Float>) -> Int {
        var best = 0
        for index in scores.indices.dropFirst()
        where scores[index] > scores[best] || (scores[best].isNaN && !scores[index].isNaN) {
            best = index
        }
        return best
    }

    /// Whether `label` is among the best `count`; ties go to the lower index, and NaN is a miss.
    package static func isHit(
        _ label: Int, within count: Int, of scores: UnsafeBufferPointer<Float>
    ) -> Bool {
        let score = scores[label]
        guard !score.isNaN else { return false }
        var better = 0
        for index in scores.indices
        where scores[index] > score || (scores[index] == score && index < label) {
            better += 1
        }
        return better < count
    }
}

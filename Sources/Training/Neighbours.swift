// A head that asks the nearest photos: nothing is learned, and a photo more is a row more.

import GraftExecution

/// The k photos whose features point most nearly the same way vote, each by one over its cosine
/// distance: scikit-learn's `KNeighborsClassifier(metric="cosine", weights="distance")`.
public struct Neighbours: Sendable {
    /// The features of the photos to ask, each of length 1, row by row.
    public let bank: [Float]
    /// The number of features of a photo.
    public let width: Int
    /// The class of each photo.
    public let labels: [Int]
    /// How many are asked.
    public var count: Int

    /// The numbers of photos that are tried.
    static let counts = [1, 3, 5, 7, 9, 15, 25, 49]

    /// A head over features as they come (rows × `width`); they are brought to length 1.
    package init(features: [Float], width: Int, labels: [Int], count: Int) {
        precondition(width > 0 && features.count == labels.count * width)
        var bank = features
        Self.normalise(&bank, width)
        self.bank = bank
        self.width = width
        self.labels = labels
        self.count = count
    }

    /// Brings rows to length 1; zeros stay.
    static func normalise(_ rows: inout [Float], _ width: Int) {
        rows.withUnsafeMutableBufferPointer { rows in
            for start in stride(from: 0, to: rows.count, by: width) {
                var squares = 0.0
                for at in start..<(start + width) { squares += Double(rows[at]) * Double(rows[at]) }
                guard squares > 0 else { continue }
                let scale = Float(1 / squares.squareRoot())
                for at in start..<(start + width) { rows[at] *= scale }
            }
        }
    }

    /// The share of each class, for features (rows × ``width``).
    package func probabilities(_ features: [Float], classes: Int) throws -> [[Float]] {
        precondition(features.count % width == 0)
        var queries = features
        Self.normalise(&queries, width)
        let rows = queries.count / width
        var result: [[Float]] = []
        // A block of queries at a time: their similarities to all photos are held at once.
        for start in stride(from: 0, to: rows, by: 64) {
            try Task.checkCancellation()
            let block = Array(queries[(start * width)..<(min(start + 64, rows) * width)])
            let count = block.count / width
            var near = [Float](repeating: 0, count: count * labels.count)
            try block.withUnsafeBufferPointer { block in
                try bank.withUnsafeBufferPointer { bank in
                    try near.withUnsafeMutableBufferPointer {
                        try MatrixProduct.multiply(
                            block, bank, transposedB: true, into: $0, rows: count,
                            columns: labels.count, inner: width)
                    }
                }
            }
            for row in 0..<count {
                result.append(
                    vote(Array(near[(row * labels.count)..<((row + 1) * labels.count)]), classes))
            }
        }
        return result
    }

    private func vote(_ near: [Float], _ classes: Int) -> [Float] {
        let order = near.indices.sorted {
            near[$0] != near[$1] ? near[$0] > near[$1] : $0 < $1
        }
        var votes = [Double](repeating: 0, count: classes)
        for photo in order.prefix(count) {
            // The same photo is infinitely near: what rounding leaves of its distance counts as such.
            votes[labels[photo]] += 1 / max(1 - Double(near[photo]), 1e-6)
        }
        let total = votes.reduce(0, +)
        return votes.map { Float(total > 0 ? $0 / total : 0) }
    }
}

// Precision, recall and F1 of all classes together: the three ways of scikit-learn.

/// The scores of all classes together.
public struct AveragedScores: Sendable, Hashable, Codable {
    /// Precision, recall and F1.
    public struct Scores: Sendable, Hashable, Codable {
        /// Of what was taken for a class, the share that was.
        public var precision: Double
        /// Of what is of a class, the share that was found.
        public var recall: Double
        /// The harmonic mean of the two.
        public var f1: Double
    }

    /// The plain mean over the classes that occur in the truth or in the predictions.
    public var macro: Scores
    /// From the counts of all classes; of one class a photo, all three are the accuracy.
    public var micro: Scores
    /// The mean over the classes, each by its photos.
    public var weighted: Scores

    /// The averages of a matrix.
    public init(_ confusion: ConfusionMatrix) {
        let present = confusion.perClass.filter { $0.support + $0.predicted > 0 }
        func mean(_ weight: (ClassScores) -> Double) -> Scores {
            let total = present.reduce(0) { $0 + weight($1) }
            func of(_ score: (ClassScores) -> Double) -> Double {
                total > 0 ? present.reduce(0) { $0 + weight($1) * score($1) } / total : 0
            }
            return Scores(precision: of(\.precision), recall: of(\.recall), f1: of(\.f1))
        }
        macro = mean { _ in 1 }
        weighted = mean { Double($0.support) }
        let accuracy = confusion.accuracy
        micro = Scores(precision: accuracy, recall: accuracy, f1: accuracy)
    }
}

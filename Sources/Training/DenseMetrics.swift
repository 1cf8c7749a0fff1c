// How well labels and numbers are told: scikit-learn's definitions.

/// The scores of a head whose labels hold or do not.
public struct LabelMetrics: Sendable, Hashable, Codable {
    /// One label.
    public struct Label: Sendable, Hashable, Codable {
        /// Its name.
        public var name: String
        /// It is said to hold where its share is at least this.
        public var threshold: Float
        /// Of the photos that it was said of, the share that it holds of.
        public var precision: Double
        /// Of the photos that it holds of, the share that it was said of.
        public var recall: Double
        /// The harmonic mean of the two.
        public var f1: Double
        /// The number of photos that it holds of.
        public var support: Int
        /// The area under the ROC curve; nil where it always holds or never.
        public var rocAUC: Double?
        /// The average precision; nil where it never holds.
        public var averagePrecision: Double?
    }

    /// The labels in order.
    public var labels: [Label]
    /// The mean of the labels' average precisions.
    public var meanAveragePrecision: Double?
    /// The mean of the labels' areas under the ROC curve.
    public var macroROCAUC: Double?
    /// The mean of the labels' F1.
    public var macroF1: Double
    /// F1 of all answers together.
    public var microF1: Double
    /// The share of photos of which every label is right.
    public var subsetAccuracy: Double
    /// The share of answers that is wrong.
    public var hammingLoss: Double
    /// How far the shares are from how often labels hold, over 15 equal bins of the shares of all
    /// labels; nil of nothing.
    public var calibrationError: Double?

    /// The scores of probabilities (photos × labels) against 1 and 0. Without `thresholds`, each
    /// label gets the one with the best F1 on these very photos.
    public init(
        probabilities: [[Float]], targets: [[Float]], names: [String], thresholds: [Float]? = nil
    ) {
        let photos = targets.count
        var (hits, said, held, wrong) = (0, 0, 0, 0)
        labels = []
        var exact = [Bool](repeating: true, count: photos)
        for (k, name) in names.enumerated() {
            let scores = probabilities.map { $0[k] }
            let truth = targets.map { $0[k] > 0.5 }
            let threshold = thresholds?[k] ?? Self.bestThreshold(scores, truth)
            var (hit, count) = (0, 0)
            let support = truth.count { $0 }
            for photo in 0..<photos {
                let answer = scores[photo] >= threshold
                count += answer ? 1 : 0
                hit += answer && truth[photo] ? 1 : 0
                if answer != truth[photo] {
                    exact[photo] = false
                    wrong += 1
                }
            }
            (hits, said, held) = (hits + hit, said + count, held + support)
            labels.append(
                Label(
                    name: name, threshold: threshold, precision: Self.ratio(hit, count),
                    recall: Self.ratio(hit, support), f1: Self.ratio(2 * hit, count + support),
                    support: support, rocAUC: ScoreMetrics.areaUnderROC(scores, truth),
                    averagePrecision: ScoreMetrics.averagePrecision(scores, truth)))
        }
        func mean(_ values: [Double?]) -> Double? {
            let known = values.compactMap(\.self)
            return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
        }
        meanAveragePrecision = mean(labels.map(\.averagePrecision))
        macroROCAUC = mean(labels.map(\.rocAUC))
        macroF1 = mean(labels.map(\.f1)) ?? 0
        microF1 = Self.ratio(2 * hits, said + held)
        subsetAccuracy = Self.ratio(exact.count { $0 }, photos)
        hammingLoss = Self.ratio(wrong, photos * names.count)
        calibrationError = Self.calibrationError(
            probabilities.flatMap(\.self), targets.flatMap(\.self), bins: 15)
    }

    private static func calibrationError(_ shares: [Float], _ truth: [Float], bins: Int)
        -> Double?
    {
        guard !shares.isEmpty else { return nil }
        var gaps = [Double](repeating: 0, count: bins)
        for (share, target) in zip(shares, truth) {
            gaps[ScoreMetrics.bin(of: Double(share), of: bins)] +=
                Double(share) - (target > 0.5 ? 1 : 0)
        }
        return gaps.reduce(0) { $0 + abs($1) } / Double(shares.count)
    }

    /// The threshold with the best F1, between two scores where it can be; 0.5 if nothing holds.
    public static func bestThreshold(_ scores: [Float], _ truth: [Bool]) -> Float {
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        let support = truth.count { $0 }
        guard support > 0 else { return 0.5 }
        var (best, threshold, hits) = (-1.0, Float(0.5), 0)
        for (rank, index) in order.enumerated() {
            hits += truth[index] ? 1 : 0
            let next = rank + 1 < order.count ? scores[order[rank + 1]] : 0
            guard next < scores[index] || rank + 1 == order.count else { continue }
            let f1 = ratio(2 * hits, rank + 1 + support)
            guard f1 > best else { continue }
            // Between neighbouring numbers there is no other: the middle would let the lower one in.
            let middle = (scores[index] + next) / 2
            (best, threshold) = (f1, middle > next ? middle : scores[index])
        }
        return threshold
    }

    private static func ratio(_ part: Int, _ whole: Int) -> Double {
        whole == 0 ? 0 : Double(part) / Double(whole)
    }
}

/// The scores of a head that answers numbers.
public struct ValueMetrics: Sendable, Hashable, Codable {
    /// One number.
    public struct Value: Sendable, Hashable, Codable {
        /// Its name.
        public var name: String
        /// The mean of how far off the answers are.
        public var meanAbsoluteError: Double
        /// The root of the mean of the squares of it.
        public var rootMeanSquaredError: Double
        /// The share of the variance that is explained; nil where all photos have one value.
        public var r2: Double?
    }

    /// The numbers in order.
    public var values: [Value]
    /// The mean of their R².
    public var r2: Double?

    /// The scores of answers (photos × numbers).
    public init(answers: [[Float]], targets: [[Float]], names: [String]) {
        let count = Double(max(targets.count, 1))
        values = names.enumerated().map { k, name in
            let truth = targets.map { Double($0[k]) }
            let mean = truth.reduce(0, +) / count
            var (off, squares, spread) = (0.0, 0.0, 0.0)
            for (photo, value) in truth.enumerated() {
                let difference = Double(answers[photo][k]) - value
                off += abs(difference)
                squares += difference * difference
                spread += (value - mean) * (value - mean)
            }
            return Value(
                name: name, meanAbsoluteError: off / count,
                rootMeanSquaredError: (squares / count).squareRoot(),
                r2: spread > 0 ? 1 - squares / spread : nil)
        }
        let known = values.compactMap(\.r2)
        r2 = known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
    }
}

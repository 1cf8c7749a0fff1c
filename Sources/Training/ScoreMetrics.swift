// What scores are worth before a threshold is chosen: areas under curves, and calibration.

/// Measures of scores against the truth, by scikit-learn's definitions.
public enum ScoreMetrics {
    /// The area under the ROC curve: how often a positive scores above a negative, ties counting
    /// half (Mann & Whitney). Nil where there is only one kind.
    package static func areaUnderROC(_ scores: [Float], _ positive: [Bool]) -> Double? {
        precondition(scores.count == positive.count)
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var rankSum = 0.0
        var at = 0
        while at < order.count {
            var end = at
            while end < order.count, scores[order[end]] == scores[order[at]] { end += 1 }
            let rank = Double(at + 1 + end) / 2
            for index in order[at..<end] where positive[index] { rankSum += rank }
            at = max(end, at + 1)
        }
        let positives = Double(positive.count { $0 })
        let negatives = Double(positive.count) - positives
        guard positives > 0, negatives > 0 else { return nil }
        return (rankSum - positives * (positives + 1) / 2) / (positives * negatives)
    }

    /// Average precision: Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores, highest first, without
    /// interpolation. Nil without a positive.
    package static func averagePrecision(_ scores: [Float], _ positive: [Bool]) -> Double? {
        precondition(scores.count == positive.count)
        let order = scores.indices.sorted { scores[$0] > scores[$1] }
        let positives = positive.count { $0 }
        guard positives > 0 else { return nil }
        var (sum, hits, at) = (0.0, 0, 0)
        while at < order.count {
            var end = at
            var found = 0
            while end < order.count, scores[order[end]] == scores[order[at]] {
                found += positive[order[end]] ? 1 : 0
                end += 1
            }
            end = max(end, at + 1)
            hits += found
            sum += Double(found) / Double(positives) * Double(hits) / Double(end)
            at = end
        }
        return sum
    }

    /// The mean of −log of the share that the true class got, shares below 2⁻⁵² counting as that.
    /// Nil of nothing.
    package static func logLoss(_ probabilities: [[Float]], _ labels: [Int]) -> Double? {
        guard !labels.isEmpty else { return nil }
        let total = zip(probabilities, labels).reduce(0.0) { sum, photo in
            sum - logarithm(min(max(Double(photo.0[photo.1]), 0x1p-52), 1 - 0x1p-52))
        }
        return total / Double(labels.count)
    }

    /// The mean squared distance of the shares from what was true, summed over the classes, so that
    /// it lies in 0…2 (Brier 1950). Nil of nothing.
    package static func brierScore(_ probabilities: [[Float]], _ labels: [Int]) -> Double? {
        guard !labels.isEmpty else { return nil }
        var total = 0.0
        for (row, label) in zip(probabilities, labels) {
            for (k, share) in row.enumerated() {
                let off = Double(share) - (k == label ? 1 : 0)
                total += off * off
            }
        }
        return total / Double(labels.count)
    }

    /// The expected calibration error: how far confidence is from accuracy, over equal bins of
    /// the confidence (Guo et al. 2017, arXiv:1706.04599). Nil of nothing.
    package static func calibrationError(
        _ probabilities: [[Float]], _ labels: [Int], bins: Int = 15
    ) -> Double? {
        guard !labels.isEmpty, bins > 0 else { return nil }
        return calibration(probabilities, labels, bins: bins).reduce(0) {
            $0 + Double($1.count) * abs($1.confidence - $1.accuracy)
        } / Double(labels.count)
    }

    /// The bin of a share: it holds its upper edge and not its lower one.
    static func bin(of share: Double, of bins: Int) -> Int {
        let exact = (share * Double(bins)).rounded(.up) - 1
        return exact.isFinite ? min(max(Int(exact), 0), bins - 1) : 0
    }

    /// The bins behind it that hold a photo, the least sure first.
    package static func calibration(
        _ probabilities: [[Float]], _ labels: [Int], bins: Int = 15
    ) -> [CalibrationBin] {
        var table = [(count: Int, confidence: Double, correct: Int)](
            repeating: (0, 0, 0), count: bins)
        for (row, label) in zip(probabilities, labels) {
            let best = row.withUnsafeBufferPointer { Ranking.best(of: $0) }
            let confidence = Double(row[best])
            let bin = bin(of: confidence, of: bins)
            table[bin].count += 1
            table[bin].confidence += confidence
            table[bin].correct += best == label ? 1 : 0
        }
        return table.filter { $0.count > 0 }.map { bin in
            CalibrationBin(
                count: bin.count, confidence: bin.confidence / Double(bin.count),
                accuracy: Double(bin.correct) / Double(bin.count))
        }
    }
}

/// Answers that were about as sure as each other.
public struct CalibrationBin: Sendable, Hashable, Codable {
    /// How many there were.
    public var count: Int
    /// How sure they were, on average.
    public var confidence: Double
    /// How many of them were right.
    public var accuracy: Double
}

/// The measures of scores of one run or evaluation.
public struct ScoreSummary: Sendable, Hashable, Codable {
    /// The area under the ROC curve of each class against the rest; nil where undefined.
    public var rocAUC: [Double?]
    /// The average precision of each class; nil where undefined.
    public var averagePrecision: [Double?]
    /// The mean area of the classes that have one.
    public var macroROCAUC: Double?
    /// The mean average precision of the classes that have one.
    public var meanAveragePrecision: Double?
    /// The expected calibration error, 15 bins.
    public var calibrationError: Double?
    /// The bins behind it that hold a photo.
    public var calibration: [CalibrationBin]?
    /// The mean of −log of what the true class got.
    public var logLoss: Double?
    /// The Brier score over all classes, 0…2.
    public var brierScore: Double?

    /// The measures of probabilities (photos × classes).
    package init(probabilities: [[Float]], labels: [Int], classes: Int) {
        func each(_ measure: ([Float], [Bool]) -> Double?) -> [Double?] {
            (0..<classes).map { name in
                measure(probabilities.map { $0[name] }, labels.map { $0 == name })
            }
        }
        func mean(_ values: [Double?]) -> Double? {
            let known = values.compactMap(\.self)
            return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
        }
        rocAUC = each(ScoreMetrics.areaUnderROC)
        averagePrecision = each(ScoreMetrics.averagePrecision)
        macroROCAUC = mean(rocAUC)
        meanAveragePrecision = mean(averagePrecision)
        calibrationError = ScoreMetrics.calibrationError(probabilities, labels)
        calibration = ScoreMetrics.calibration(probabilities, labels)
        logLoss = ScoreMetrics.logLoss(probabilities, labels)
        brierScore = ScoreMetrics.brierScore(probabilities, labels)
    }
}

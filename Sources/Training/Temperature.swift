// Temperature scaling: one number that makes a network as sure as it is right.

/// What dividing the scores by a temperature did to the validation photos (Guo et al. 2017,
/// arXiv:1706.04599). It was fitted on them, so that others gain a little less.
public struct Temperature: Sendable, Hashable, Codable {
    /// What scores are divided by: above 1 the network was too sure of itself. The head's weights in
    /// the model are divided already.
    public var value: Double
    /// The expected calibration error (15 bins) before.
    public var calibrationErrorBefore: Double?
    /// The same after.
    public var calibrationErrorAfter: Double?
    /// The mean validation loss before, without smoothing: what is minimised.
    public var lossBefore: Double
    /// The same after.
    public var lossAfter: Double

    /// The slope and the curvature of a loss over 1 / T, each photo's added up, at `inverse`.
    private struct Terms {
        var slope = 0.0
        var bend = 0.0
    }

    /// The temperature of least mean loss, to 1e-12; nil where no finite one is best: all scores
    /// speak for the truth (the surer the better), or they say less than nothing.
    ///
    /// The loss is convex in 1 / T: Newton's steps, and halving where one would leave the bracket.
    static func fit(_ slopes: (Double) -> (slope: Double, bend: Double)) -> Double? {
        let (least, most) = (1e-4, 1e4)
        var (low, high) = (least, most)
        guard slopes(low).slope < 0, slopes(high).slope > 0 else { return nil }
        var inverse = 1.0
        for _ in 0..<200 {
            let here = slopes(inverse)
            guard here.slope.isFinite else { return nil }
            if here.slope > 0 { high = inverse } else { low = inverse }
            var next = inverse - here.slope / here.bend
            if !(next > low && next < high) { next = (low * high).squareRoot() }
            let moved = abs(next - inverse) / inverse
            inverse = next
            if moved < 1e-12 { break }
        }
        return 1 / inverse
    }

    /// The temperature of classes, by softmax cross entropy over rows of scores; nil where no finite one
    /// is best.
    package static func fit(_ logits: [[Float]], labels: [Int]) -> Double? {
        fit { inverse in
            var terms = Terms()
            for (row, label) in zip(logits, labels) {
                let highest = Double(row.max() ?? 0)
                var (sum, mean, square) = (0.0, 0.0, 0.0)
                for score in row {
                    let off = Double(score) - highest
                    let power = exponential(off * inverse)
                    sum += power
                    mean += power * off
                    square += power * off * off
                }
                (mean, square) = (mean / sum, square / sum)
                terms.slope += mean - (Double(row[label]) - highest)
                terms.bend += square - mean * mean
            }
            return (terms.slope, terms.bend)
        }
    }

    /// The temperature of labels that hold each by itself, by binary cross entropy; nil where no finite
    /// one is best.
    package static func fit(_ logits: [[Float]], targets: [[Float]]) -> Double? {
        fit { inverse in
            var terms = Terms()
            for (row, truth) in zip(logits, targets) {
                for (score, target) in zip(row, truth) {
                    let share = sigmoid(Double(score) * inverse)
                    terms.slope += (share - Double(target)) * Double(score)
                    terms.bend += share * (1 - share) * Double(score) * Double(score)
                }
            }
            return (terms.slope, terms.bend)
        }
    }
}

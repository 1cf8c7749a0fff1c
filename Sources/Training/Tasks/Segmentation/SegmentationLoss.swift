// The loss of maps of classes: cross entropy of the pixels, and Dice of the classes.

import GraftTensors

/// Cross entropy as PyTorch's with `ignore_index`, and Dice as segmentation_models_pytorch defines it for
/// several classes: over the pixels of the batch, a class that the truth does not have adding nothing, the
/// mean over all classes.
package struct SegmentationLoss: Sendable {
    /// The value of pixels that count nowhere.
    package static let ignored: UInt8 = 255

    let terms: SegmentationSettings.Loss
    let classes: Int

    package init(_ terms: SegmentationSettings.Loss, classes: Int) {
        (self.terms, self.classes) = (terms, classes)
    }

    /// The mean loss of the first images of `scores` (N, classes, H, W) against a class of each pixel;
    /// `gradient` receives its gradient, and zeros for rows beyond the images.
    package func mean(
        _ scores: UnsafeBufferPointer<Float>, against truth: [[UInt8]],
        gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        gradient?.update(repeating: 0)
        guard let area = truth.first?.count else { return 0 }
        let size = area * classes
        var probabilities = [Float](repeating: 0, count: truth.count * size)
        var entropy = 0.0
        var counted = 0
        var shared = [Double](repeating: 0, count: classes)
        var sums = shared
        var present = [Bool](repeating: false, count: classes)
        probabilities.withUnsafeMutableBufferPointer { shares in
            for (image, labels) in truth.enumerated() {
                for pixel in 0..<area where labels[pixel] != Self.ignored {
                    let (start, label) = (image * size + pixel, Int(labels[pixel]))
                    var highest = -Float.infinity
                    for k in 0..<classes { highest = max(highest, scores[start + k * area]) }
                    var sum = 0.0
                    for k in 0..<classes {
                        sum += exponential(Double(scores[start + k * area] - highest))
                    }
                    for k in 0..<classes {
                        let share =
                            exponential(Double(scores[start + k * area] - highest)) / sum
                        shares[start + k * area] = Float(share)
                        sums[k] += share
                    }
                    entropy += logarithm(sum) - Double(scores[start + label * area] - highest)
                    shared[label] += Double(shares[start + label * area])
                    sums[label] += 1
                    present[label] = true
                    counted += 1
                }
            }
        }
        guard counted > 0 else { return 0 }
        let usesEntropy = terms != .dice
        let usesDice = terms != .crossEntropy
        var total = usesEntropy ? entropy / Double(counted) : 0
        /// Along the probability of a class where it holds, and where it does not.
        var slopes = [(inside: Double, outside: Double)](repeating: (0, 0), count: classes)
        if usesDice {
            for k in 0..<classes where present[k] {
                let whole = max(sums[k], 1e-7)
                total += (1 - 2 * shared[k] / whole) / Double(classes)
                let outside = 2 * shared[k] / (whole * whole) / Double(classes)
                slopes[k] = (outside - 2 / whole / Double(classes), outside)
            }
        }
        guard let gradient else { return total }
        let share = usesEntropy ? 1 / Double(counted) : 0
        for (image, labels) in truth.enumerated() {
            for pixel in 0..<area where labels[pixel] != Self.ignored {
                let (start, label) = (image * size + pixel, Int(labels[pixel]))
                var mean = 0.0
                for k in 0..<classes {
                    mean +=
                        Double(probabilities[start + k * area])
                        * (k == label ? slopes[k].inside : slopes[k].outside)
                }
                for k in 0..<classes {
                    let p = Double(probabilities[start + k * area])
                    let slope = k == label ? slopes[k].inside : slopes[k].outside
                    gradient[start + k * area] = Float(
                        share * (p - (k == label ? 1 : 0)) + p * (slope - mean))
                }
            }
        }
        return total
    }
}

// The loss of a classifier and its gradient, from logits.

/// Softmax cross entropy with label smoothing: the target is y(1 − ε) + ε/K, where the K classes
/// include the true one, as in Keras and PyTorch.
package struct CrossEntropy: Sendable, Hashable, Codable {
    /// ε; 0 is plain cross entropy.
    package var labelSmoothing: Float

    /// What each class counts; nil counts all alike. The mean is over weights, as in PyTorch.
    package var classWeights: [Float]?

    /// A loss with this smoothing and these weights.
    package init(labelSmoothing: Float = 0, classWeights: [Float]? = nil) {
        self.labelSmoothing = labelSmoothing
        self.classWeights = classWeights
    }

    /// Weights of one over the count, such that their mean over the photos is 1.
    package static func balanced(counts: [Int]) -> [Float] {
        let present = counts.count { $0 > 0 }
        let total = counts.reduce(0, +)
        return counts.map { $0 > 0 ? Float(Double(total) / Double(present * $0)) : 0 }
    }

    /// The loss of the first `labels.count` rows of `logits` (rows × `classes`): the sum of what
    /// each row loses times its weight, over the mean weight.
    ///
    /// `gradient`, if given, receives the gradient of the **mean** over these rows; rows beyond
    /// them, the padding of a ragged last batch, receive zeros. `mixed`, if given, are second
    /// labels, and the share of each row's loss that the first ones keep.
    package func sum(
        logits: UnsafeBufferPointer<Float>, classes: Int, labels: [Int],
        mixed: (labels: [Int], share: Double)? = nil,
        gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        precondition(classes > 0 && labels.count * classes <= logits.count)
        precondition(gradient.map { $0.count == logits.count } ?? true)
        let weights = (classWeights ?? [Float](repeating: 1, count: classes)).map { Double($0) }
        precondition(weights.count == classes)
        let smoothing = Double(labelSmoothing)
        func weight(_ row: Int) -> Double {
            guard let mixed else { return weights[labels[row]] }
            return mixed.share * weights[labels[row]]
                + (1 - mixed.share) * weights[mixed.labels[row]]
        }
        let total = labels.indices.reduce(0) { $0 + weight($1) }
        let share = total > 0 ? 1 / total : 0
        var loss = 0.0
        var targets = [Double](repeating: 0, count: classes)
        for (row, label) in labels.enumerated() {
            precondition((0..<classes).contains(label))
            // Σ_c w_c t_c (−log p_c), with t the smoothed and mixed target.
            for k in 0..<classes { targets[k] = weights[k] * smoothing / Double(classes) }
            let first = mixed?.share ?? 1
            targets[label] += weights[label] * (1 - smoothing) * first
            if let mixed {
                let other = mixed.labels[row]
                targets[other] += weights[other] * (1 - smoothing) * (1 - first)
            }
            let start = row * classes
            var highest = -Double.infinity
            for k in 0..<classes { highest = max(highest, Double(logits[start + k])) }
            var sum = 0.0
            for k in 0..<classes { sum += exponential(Double(logits[start + k]) - highest) }
            let logSum = logarithm(sum)
            var mass = 0.0
            for k in 0..<classes {
                mass += targets[k]
                loss += targets[k] * (logSum - (Double(logits[start + k]) - highest))
            }
            guard let gradient else { continue }
            for k in 0..<classes {
                let probability = exponential(Double(logits[start + k]) - highest) / sum
                gradient[start + k] = Float((probability * mass - targets[k]) * share)
            }
        }
        if let gradient {
            for index in (labels.count * classes)..<gradient.count { gradient[index] = 0 }
        }
        return loss * share * Double(labels.count)
    }
}

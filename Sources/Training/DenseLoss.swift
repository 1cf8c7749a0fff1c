// The losses of heads that answer more than one class: labels that hold or do not, and numbers.

/// The mean over the outputs of each photo, and over the photos.
package enum DenseLoss: Sendable, Hashable {
    /// Binary cross entropy from logits; with smoothing, targets are y(1 − ε) + ε/2.
    case binaryCrossEntropy(labelSmoothing: Float)
    /// The square of the difference.
    case squaredError

    /// The loss of the first rows of `outputs` (rows × `width`), summed over the photos, against
    /// `targets` (photos × `width`). `weights`, if given, are what each output counts where the
    /// label holds (PyTorch's `pos_weight`).
    ///
    /// `gradient`, if given, receives the gradient of the **mean** over these photos; rows beyond
    /// them receive zeros.
    package func sum(
        _ outputs: UnsafeBufferPointer<Float>, width: Int, targets: [[Float]],
        weights: [Float]? = nil, gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        precondition(width > 0 && targets.count * width <= outputs.count)
        precondition(gradient.map { $0.count == outputs.count } ?? true)
        var loss = 0.0
        let share = 1 / Double(max(targets.count * width, 1))
        for (row, target) in targets.enumerated() {
            for k in 0..<width {
                let at = row * width + k
                let x = Double(outputs[at])
                var slope: Double
                switch self {
                case .binaryCrossEntropy(let smoothing):
                    let epsilon = Double(smoothing)
                    let y = Double(target[k]) * (1 - epsilon) + epsilon / 2
                    let weight = weights.map { Double($0[k]) } ?? 1
                    // log(1 + e^−x) without overflow, and the same of the other side.
                    let soft = logarithm(1 + exponential(-abs(x)))
                    let (minus, plus) = (soft + max(-x, 0), soft + max(x, 0))
                    loss += weight * y * minus + (1 - y) * plus
                    let p = sigmoid(x)
                    slope = -weight * y * (1 - p) + (1 - y) * p
                case .squaredError:
                    let difference = x - Double(target[k])
                    loss += difference * difference
                    slope = 2 * difference
                }
                gradient?[at] = Float(slope * share)
            }
        }
        if let gradient {
            for index in (targets.count * width)..<gradient.count { gradient[index] = 0 }
        }
        return loss / Double(width)
    }
}

/// The share that a logit stands for.
package func sigmoid(_ x: Double) -> Double {
    x >= 0 ? 1 / (1 + exponential(-x)) : exponential(x) / (1 + exponential(x))
}

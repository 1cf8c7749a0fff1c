// Losses with a vector for each class: softmax over cosines, the own class made harder by a margin.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension EmbeddingLoss {
    /// The mean cross entropy of `scale` times the cosines to the classes' vectors, with the own
    /// class's cosine cos θ as cos(θ + margin) (ArcFace) or cos θ − margin (CosFace).
    func margins(
        _ vectors: UnsafeBufferPointer<Float>, _ width: Int, _ labels: [Int], _ proxies: Proxies,
        _ gradient: UnsafeMutableBufferPointer<Float>?
    ) -> Double {
        let classes = proxies.values.count / width
        precondition(classes * width == proxies.values.count)
        let lengths = (0..<classes).map { k in
            var squares = 0.0
            for j in 0..<width {
                let value = Double(proxies.values[k * width + j])
                squares += value * value
            }
            return max(squares.squareRoot(), 1e-12)
        }
        let units = proxies.values.indices.map { Double(proxies.values[$0]) / lengths[$0 / width] }
        var unitSlopes = [Double](repeating: 0, count: units.count)
        var loss = 0.0
        let share = 1 / Double(labels.count)
        for (row, label) in labels.enumerated() {
            precondition((0..<classes).contains(label))
            var cosines = [Double](repeating: 0, count: classes)
            for k in 0..<classes {
                for j in 0..<width {
                    cosines[k] += Double(vectors[row * width + j]) * units[k * width + j]
                }
            }
            let (own, slope) = hardened(cosines[label])
            var logits = cosines.map { scale * $0 }
            logits[label] = scale * own
            let highest = logits.max() ?? 0
            let powers = logits.map { exponential($0 - highest) }
            let sum = powers.reduce(0, +)
            loss += (logarithm(sum) + highest - logits[label]) * share
            var into = [Double](repeating: 0, count: width)
            for k in 0..<classes {
                var g = powers[k] / sum * scale * share
                if k == label { g = (g - scale * share) * slope }
                for j in 0..<width {
                    into[j] += g * units[k * width + j]
                    unitSlopes[k * width + j] += g * Double(vectors[row * width + j])
                }
            }
            if let gradient { for j in 0..<width { gradient[row * width + j] = Float(into[j]) } }
        }
        if let target = proxies.gradient {
            for k in 0..<classes {
                let along = (0..<width).reduce(0.0) {
                    $0 + units[k * width + $1] * unitSlopes[k * width + $1]
                }
                for j in 0..<width {
                    let at = k * width + j
                    target[at] = Float((unitSlopes[at] - units[at] * along) / lengths[k])
                }
            }
        }
        return loss
    }

    /// What stands for the own class's cosine, and its slope.
    private func hardened(_ cosine: Double) -> (value: Double, slope: Double) {
        guard kind == .arcFace else { return (cosine - margin, 1) }
        // Beyond θ = π − margin the cosine of the sum would rise again.
        guard cosine > -cos(margin) else { return (cosine - margin * sin(margin), 1) }
        let sine = max(1 - cosine * cosine, 0).squareRoot()
        return (
            cosine * cos(margin) - sine * sin(margin),
            cos(margin) + cosine * sin(margin) / max(sine, 1e-6)
        )
    }
}

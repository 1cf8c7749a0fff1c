// Losses of distances: contrastive pairs, and triplets as TensorFlow Addons defines them.

extension EmbeddingLoss {
    /// The mean over all pairs of y d² + (1 − y) max(margin − d, 0)².
    func contrastive(_ d: PairDistances, _ labels: [Int], _ slopes: inout [Double]) -> Double {
        let pairs = labels.count * (labels.count - 1) / 2
        guard pairs > 0 else { return 0 }
        let share = 1 / Double(pairs)
        var loss = 0.0
        for i in labels.indices {
            for j in 0..<i {
                let same = labels[i] == labels[j]
                let part = same ? d[i, j] : max(margin - d[i, j], 0)
                loss += part * part * share
                slopes[i * d.count + j] += (same ? 2 : -2) * part * share
            }
        }
        return loss
    }

    /// The mean over all pairs of one class, in both directions, of
    /// max(d(a, p) − d(a, n) + margin, 0) with a's semi-hard negative n.
    func semiHard(_ d: PairDistances, _ labels: [Int], _ slopes: inout [Double]) -> Double {
        let n = labels.count
        let positives = labels.indices.reduce(0) { sum, i in
            sum + labels.indices.count { $0 != i && labels[$0] == labels[i] }
        }
        guard positives > 0 else { return 0 }
        let share = 1 / Double(positives)
        var loss = 0.0
        for a in labels.indices {
            let others = labels.indices.filter { labels[$0] != labels[a] }
            let furthest = others.max { d[a, $0] < d[a, $1] }
            for p in labels.indices where p != a && labels[p] == labels[a] {
                var negative = furthest
                var least = Double.infinity
                for k in others where d[a, k] > d[a, p] && d[a, k] < least {
                    (negative, least) = (k, d[a, k])
                }
                // Without any negative its distance counts as 0.
                let part = d[a, p] - (negative.map { d[a, $0] } ?? 0) + margin
                guard part > 0 else { continue }
                loss += part * share
                slopes[a * n + p] += share
                if let negative { slopes[a * n + negative] -= share }
            }
        }
        return loss
    }

    /// The mean over the photos of max(d(a, p) − d(a, n) + margin, 0), or of
    /// log(1 + exp(d(a, p) − d(a, n))), with the furthest p of a's class and the nearest n of others.
    func hard(_ d: PairDistances, _ labels: [Int], _ slopes: inout [Double]) -> Double {
        let n = labels.count
        let share = 1 / Double(n)
        var loss = 0.0
        for a in labels.indices {
            // Who has no other of his class is compared with himself, at distance 0; without any
            // negative, it is the furthest of all.
            let positive =
                labels.indices.filter { labels[$0] == labels[a] }
                .max { d[a, $0] < d[a, $1] } ?? a
            let negative =
                labels.indices.filter { labels[$0] != labels[a] }.min { d[a, $0] < d[a, $1] }
                ?? labels.indices.max { d[a, $0] < d[a, $1] } ?? a
            let difference = d[a, positive] - d[a, negative]
            let slope: Double
            if kind == .tripletSoft {
                loss += (logarithm(1 + exponential(-abs(difference))) + max(difference, 0)) * share
                slope = sigmoid(difference) * share
            } else {
                guard difference + margin > 0 else { continue }
                loss += (difference + margin) * share
                slope = share
            }
            slopes[a * n + positive] += slope
            slopes[a * n + negative] -= slope
        }
        return loss
    }
}

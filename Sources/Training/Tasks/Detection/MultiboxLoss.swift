// SSD's loss: where boxes are, and what is in them, as torchvision defines it.

package import GraftImages

extension Detector {
    /// (smooth L1 of the edges + cross entropy of the classes) / the number of anchors that find a
    /// box, over those and the three times as many others of each photo that are furthest from being
    /// nothing. `gradient`, if given, receives its gradient; rows beyond the photos, zeros.
    package func loss(
        _ outputs: UnsafeBufferPointer<Float>, _ photos: [[(label: Int, box: Box)]],
        gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        let entries = photos
        let row = anchors.count * width
        precondition(photos.count * row <= outputs.count)
        gradient?.update(repeating: 0)
        let matches = entries.map { self.matches($0.map(\.box)) }
        let found = matches.reduce(0) { $0 + $1.count { $0 != nil } }
        let share = 1 / Double(max(found, 1))
        var sum = 0.0
        for (photo, matches) in matches.enumerated() {
            let start = photo * row
            var losses = [Double](repeating: 0, count: anchors.count)
            var wanted = [Int](repeating: 0, count: anchors.count)
            for (anchor, match) in matches.enumerated() {
                wanted[anchor] = match.map { entries[photo][$0].label + 1 } ?? 0
                losses[anchor] = crossEntropy(outputs, start + anchor * width + 4, wanted[anchor])
            }
            let positive = matches.indices.filter { matches[$0] != nil }
            let negative = matches.indices.filter { matches[$0] == nil }.sorted {
                losses[$0] != losses[$1] ? losses[$0] > losses[$1] : $0 < $1
            }.prefix(3 * positive.count)
            for anchor in positive + negative {
                sum += losses[anchor]
                guard let gradient else { continue }
                let at = start + anchor * width + 4
                let shares = softmax(outputs, at)
                for k in shares.indices {
                    let slope = shares[k] - (k == wanted[anchor] ? 1 : 0)
                    gradient[at + k] = Float(slope * share)
                }
            }
            for anchor in positive {
                guard let match = matches[anchor] else { continue }
                let target = Self.encoded(entries[photo][match].box, from: anchors[anchor])
                for k in 0..<4 {
                    let at = start + anchor * width + k
                    let d = Double(outputs[at]) - target[k]
                    sum += abs(d) < 1 ? d * d / 2 : abs(d) - 0.5
                    gradient?[at] = Float(min(max(d, -1), 1) * share)
                }
            }
        }
        return sum * share
    }

    private func softmax(_ outputs: UnsafeBufferPointer<Float>, _ at: Int) -> [Double] {
        let scores = (0...classes).map { Double(outputs[at + $0]) }
        let highest = scores.max() ?? 0
        let powers = scores.map { exponential($0 - highest) }
        let sum = powers.reduce(0, +)
        return powers.map { $0 / sum }
    }

    private func crossEntropy(_ outputs: UnsafeBufferPointer<Float>, _ at: Int, _ wanted: Int)
        -> Double
    {
        let scores = (0...classes).map { Double(outputs[at + $0]) }
        let highest = scores.max() ?? 0
        let sum = scores.reduce(0) { $0 + exponential($1 - highest) }
        return logarithm(sum) + highest - scores[wanted]
    }
}

// The loss of y = [c, bx, by, bh, bw, classes]: a sigmoid term, a box term and a softmax term.

import GraftImages

/// Binary cross entropy of c; where there is an object, the loss of the box times its weight and the
/// cross entropy of the classes are added, and nowhere else.
package struct LocalizationLoss: Sendable {
    let settings: LocalizationSettings
    let classes: Int

    package init(settings: LocalizationSettings, classes: Int) {
        (self.settings, self.classes) = (settings, classes)
    }

    /// The numbers of an image.
    var width: Int { 5 + classes }

    /// y of a row of scores.
    func answer(_ scores: UnsafeBufferPointer<Float>) -> [Float] {
        let box = (1...4).map { Float(function(Double(scores[$0])).value) }
        return [Float(sigmoid(Double(scores[0])))] + box
            + Ranking.softmax(.init(rebasing: scores[5...]))
    }

    /// The function of a number of the box, and its slope.
    private func function(_ x: Double) -> (value: Double, slope: Double) {
        switch settings.box {
        case .relu: return (max(x, 0), x > 0 ? 1 : 0)
        case .sigmoid:
            let y = sigmoid(x)
            return (y, y * (1 - y))
        }
    }

    /// The loss of the first rows of `scores`, summed over the images; `gradient` receives that of the
    /// **mean**, and zeros for rows beyond them.
    func sum(
        _ scores: UnsafeBufferPointer<Float>, against targets: [LocalizationTarget],
        gradient: UnsafeMutableBufferPointer<Float>? = nil
    ) -> Double {
        gradient?.update(repeating: 0)
        let share = 1 / Double(max(targets.count, 1))
        var total = 0.0
        for (row, target) in targets.enumerated() {
            let start = row * width
            let x = Double(scores[start])
            let truth: Double = target.object == nil ? 0 : 1
            total += max(x, 0) - x * truth + logarithm(1 + exponential(-abs(x)))
            gradient?[start] = Float((sigmoid(x) - truth) * share)
            guard let object = target.object, let wanted = target.numbers else { continue }
            let numbers = (1...4).map { function(Double(scores[start + $0])) }
            let found = numbers.map(\.value)
            let term: (loss: Double, slopes: [Double])
            switch settings.loss {
            case .squared:
                let off = zip(found, wanted).map(-)
                term = (off.reduce(0) { $0 + $1 * $1 }, off.map { 2 * $0 })
            case .giou: term = Self.giou(found, against: wanted)
            }
            total += settings.boxWeight * term.loss
            for k in 0..<4 {
                gradient?[start + 1 + k] = Float(
                    settings.boxWeight * term.slopes[k] * numbers[k].slope * share)
            }
            let rest = UnsafeBufferPointer(rebasing: scores[(start + 5)..<(start + width)])
            total += CrossEntropy().sum(logits: rest, classes: classes, labels: [object.label])
            guard let gradient else { continue }
            for (k, probability) in Ranking.softmax(rest).enumerated() {
                gradient[start + 5 + k] = Float(
                    (Double(probability) - (k == object.label ? 1 : 0)) * share)
            }
        }
        return total
    }

    /// 1 − GIoU of two boxes by centre, height and width, and its slopes along those of the first.
    static func giou(_ found: [Double], against wanted: [Double]) -> (
        loss: Double, slopes: [Double]
    ) {
        let (a, b) = (Box(center: found), Box(center: wanted))
        // Of the shared and of the surrounding box: its two sides and where the found box decides.
        let across = max(min(a.right, b.right) - max(a.left, b.left), 0)
        let down = max(min(a.bottom, b.bottom) - max(a.top, b.top), 0)
        let wide = max(a.right, b.right) - min(a.left, b.left)
        let high = max(a.bottom, b.bottom) - min(a.top, b.top)
        let (shared, around) = (across * down, max(wide * high, 1e-12))
        let own = (a.right - a.left) * (a.bottom - a.top)
        let union = max(own + b.area - shared, 1e-12)
        /// Of an edge: the slopes of the shared, the own and the surrounding area.
        func slope(shared dShared: Double, own dOwn: Double, around dAround: Double) -> Double {
            let dUnion = dOwn - dShared
            return (dShared * union - shared * dUnion) / (union * union)
                + (dUnion * around - union * dAround) / (around * around)
        }
        let meets = across > 0 && down > 0
        let right = slope(
            shared: meets && a.right < b.right ? down : 0, own: a.bottom - a.top,
            around: a.right > b.right ? high : 0)
        let left = slope(
            shared: meets && a.left > b.left ? -down : 0, own: -(a.bottom - a.top),
            around: a.left < b.left ? -high : 0)
        let bottom = slope(
            shared: meets && a.bottom < b.bottom ? across : 0, own: a.right - a.left,
            around: a.bottom > b.bottom ? wide : 0)
        let top = slope(
            shared: meets && a.top > b.top ? -across : 0, own: -(a.right - a.left),
            around: a.top < b.top ? -wide : 0)
        return (
            1 - (shared / union - (around - union) / around),
            [-(left + right), -(top + bottom), -(bottom - top) / 2, -(right - left) / 2]
        )
    }

    /// The same for a program that compares it: rows of targets are empty, or the class and four numbers.
    package func measured(
        _ scores: UnsafeBufferPointer<Float>, against rows: [[Double]],
        gradient: UnsafeMutableBufferPointer<Float>
    ) -> Double {
        sum(
            scores,
            against: rows.map { row in
                guard row.count == 5 else { return LocalizationTarget(nil) }
                return LocalizationTarget(
                    .init(label: Int(row[0]), box: Box(center: Array(row[1...]))))
            }, gradient: gradient)
    }
}

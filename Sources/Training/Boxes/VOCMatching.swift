// Pascal VOC's rules: which found box is which annotated one, and two ways to average precision.

import GraftImages

/// The precision and recall of one class, box after box, the surest first. Annotated boxes of the
/// devkit count pixels; here they have edges, which is the devkit's "+1".
struct VOCMatching {
    /// The area below the precision from each recall on; nil without boxes.
    let area: Double?
    /// The mean of the most precision from the recalls 0, 0.1 … 1 on; nil without boxes.
    let at11Recalls: Double?

    init(_ found: [Detection], _ truth: [TrueBox]) {
        func isAside(_ box: TrueBox) -> Bool { box.isDifficult || box.isCrowd }
        let wanted = truth.count { !isAside($0) }
        guard wanted > 0 else {
            (area, at11Recalls) = (nil, nil)
            return
        }
        let inPhoto = Dictionary(grouping: truth.indices, by: { truth[$0].photo })
        let order = found.indices.sorted {
            found[$0].score != found[$1].score ? found[$0].score > found[$1].score : $0 < $1
        }
        var taken: Set<Int> = []
        var (right, wrong) = (0.0, 0.0)
        var (recalls, precisions): ([Double], [Double]) = ([], [])
        for index in order {
            let box = found[index].box
            var best: (index: Int, overlap: Double)?
            for index in inPhoto[found[index].photo] ?? [] {
                let overlap = box.overlap(truth[index].box)
                if overlap > best?.overlap ?? -1 { best = (index, overlap) }
            }
            if let best, best.overlap > 0.5 {
                if !isAside(truth[best.index]) {
                    // A box that was found before is not found again.
                    if taken.insert(best.index).inserted { right += 1 } else { wrong += 1 }
                }
            } else {
                wrong += 1
            }
            recalls.append(right / Double(wanted))
            precisions.append(right / max(right + wrong, Double.ulpOfOne))
        }
        at11Recalls =
            (0...10).reduce(0.0) { sum, tenth in
                let least = Double(tenth) * 0.1
                return sum + (zip(recalls, precisions).filter { $0.0 >= least }.map(\.1).max() ?? 0)
            } / 11
        for index in precisions.indices.dropLast().reversed() {
            precisions[index] = max(precisions[index], precisions[index + 1])
        }
        var (sum, before) = (0.0, 0.0)
        for (recall, precision) in zip(recalls, precisions) {
            sum += (recall - before) * precision
            before = recall
        }
        area = sum
    }
}

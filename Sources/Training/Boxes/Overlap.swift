// How much boxes cover each other, and of boxes that do, the one that is kept.

public import GraftImages

extension Box {
    /// What both cover.
    private func common(_ other: Box) -> Double {
        let width = min(right, other.right) - max(left, other.left)
        let height = min(bottom, other.bottom) - max(top, other.top)
        return width > 0 && height > 0 ? width * height : 0
    }

    /// Intersection over union: 0 apart, 1 the same. Edges are places, not pixels: there is no +1.
    public func overlap(_ other: Box) -> Double {
        let common = common(other)
        return common > 0 ? common / (area + other.area - common) : 0
    }

    /// The share of this box that another covers: how COCO compares with a crowd.
    func share(in other: Box) -> Double {
        let common = common(other)
        return common > 0 ? common / area : 0
    }

    /// Intersection over union, less the share of the smallest box around both that neither covers
    /// (arXiv:1902.09630): −1 to 1.
    public func generalisedOverlap(_ other: Box) -> Double {
        let common = common(other)
        let union = area + other.area - common
        let around = Box(
            left: min(left, other.left), top: min(top, other.top), right: max(right, other.right),
            bottom: max(bottom, other.bottom)
        ).area
        return (union > 0 ? common / union : 0) - (around > 0 ? (around - union) / around : 0)
    }
}

/// Non-maximum suppression.
public enum Suppression {
    /// The indices of the boxes that stay, the highest score first: each takes with it all later ones
    /// that overlap it by **more than** `threshold`. Of equal scores the first box is earlier. With
    /// `classes`, boxes of different classes leave each other alone.
    package static func kept(
        _ boxes: [Box], scores: [Double], classes: [Int]? = nil, threshold: Double
    ) -> [Int] {
        precondition(boxes.count == scores.count && classes.map { $0.count == boxes.count } ?? true)
        let order = boxes.indices.sorted {
            scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1
        }
        var kept: [Int] = []
        for box in order {
            let isCovered = kept.contains { other in
                classes.map { $0[box] == $0[other] } ?? true
                    && boxes[other].overlap(boxes[box]) > threshold
            }
            if !isCovered { kept.append(box) }
        }
        return kept
    }
}

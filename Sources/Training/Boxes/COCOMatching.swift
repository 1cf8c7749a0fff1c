// COCO's rules (cocoeval): which found box is which annotated one, and the curves that follow.

import GraftImages

/// The matches of all photos and classes at ten overlaps and in four ranges of area.
struct COCOMatching {
    /// A range of areas; the ends belong to both sides.
    enum Area: Int, CaseIterable {
        case all, small, medium, large

        func contains(_ area: Double) -> Bool {
            switch self {
            case .all: area >= 0 && area <= 1e10
            case .small: area >= 0 && area <= 32 * 32
            case .medium: area >= 32 * 32 && area <= 96 * 96
            case .large: area >= 96 * 96 && area <= 1e10
            }
        }
    }

    /// 0.50, 0.55 … 0.95, to the last bit as numpy spaces them.
    static let overlaps: [Double] = {
        let step = (0.95 - 0.5) / 9
        return (0..<9).map { 0.5 + Double($0) * step } + [0.95]
    }()
    /// 0, 0.01 … 1.
    static let recalls: [Double] = (0..<100).map { Double($0) * 0.01 } + [1]

    /// What became of the boxes that were found in one photo for one class, the surest first.
    private struct Matches {
        var scores: [Double]
        /// By overlap, then box: whether it is an annotated one, and whether it counts at all.
        var isMatched: [[Bool]]
        var isIgnored: [[Bool]]
        /// How many annotated boxes count.
        var wanted: Int
    }

    /// By class and area, photo after photo.
    private var matches: [[[Matches]]]

    init(_ found: [Detection], _ truth: [TrueBox], photos: Int, classes: Int) {
        var foundIn = [[Detection]](repeating: [], count: photos * classes)
        var truthIn = [[TrueBox]](repeating: [], count: photos * classes)
        for box in found { foundIn[box.photo * classes + box.label].append(box) }
        for box in truth { truthIn[box.photo * classes + box.label].append(box) }
        matches = [[[Matches]]](
            repeating: [[Matches]](repeating: [], count: Area.allCases.count), count: classes)
        for label in 0..<classes {
            for photo in 0..<photos {
                let (found, truth) = (
                    foundIn[photo * classes + label], truthIn[photo * classes + label]
                )
                guard !found.isEmpty || !truth.isEmpty else { continue }
                let order = found.indices.sorted {
                    found[$0].score != found[$1].score
                        ? found[$0].score > found[$1].score : $0 < $1
                }
                let surest = order.prefix(100).map { found[$0] }
                let overlaps = surest.map { box in
                    truth.map {
                        $0.isCrowd ? box.box.share(in: $0.box) : box.box.overlap($0.box)
                    }
                }
                for area in Area.allCases {
                    matches[label][area.rawValue].append(
                        Self.match(surest, truth, overlaps, area))
                }
            }
        }
    }

    private static func match(
        _ found: [Detection], _ truth: [TrueBox], _ overlaps: [[Double]], _ area: Area
    ) -> Matches {
        let isIgnored = truth.map { $0.isCrowd || !area.contains($0.area) }
        // Those that count come first.
        let order = truth.indices.filter { !isIgnored[$0] } + truth.indices.filter { isIgnored[$0] }
        var result = Matches(
            scores: found.map(\.score), isMatched: [], isIgnored: [],
            wanted: isIgnored.count { !$0 })
        for threshold in Self.overlaps {
            var taken = [Bool](repeating: false, count: truth.count)
            var matched = [Bool](repeating: false, count: found.count)
            var ignored = matched
            for (place, box) in found.enumerated() {
                var least = min(threshold, 1 - 1e-10)
                var best: Int?
                for index in order {
                    // A crowd may be found again and again.
                    if taken[index], !truth[index].isCrowd { continue }
                    if let best, !isIgnored[best], isIgnored[index] { break }
                    guard overlaps[place][index] >= least else { continue }
                    (least, best) = (overlaps[place][index], index)
                }
                if let best {
                    (taken[best], matched[place]) = (true, true)
                    ignored[place] = isIgnored[best]
                } else {
                    // Of another size, it may be something that does not count here.
                    ignored[place] = !area.contains(box.box.area)
                }
            }
            result.isMatched.append(matched)
            result.isIgnored.append(ignored)
        }
        return result
    }

    /// Precision and recall of all classes.
    struct Curves {
        /// By class, then overlap: the precision at each of ``COCOMatching/recalls``; nil of a class
        /// without boxes.
        fileprivate var precisions: [[[Double]]?]
        /// By class, then overlap.
        fileprivate var recalls: [[Double]?]

        /// The mean precision, of all overlaps and classes or of one.
        func precision(of label: Int? = nil, at overlap: Int? = nil) -> Double? {
            let chosen = (label.map { [precisions[$0]] } ?? precisions).compactMap(\.self)
            let rows = chosen.flatMap { rows in overlap.map { [rows[$0]] } ?? rows }
            return Self.mean(rows.flatMap { $0 })
        }

        /// The mean of the largest recalls.
        func recall() -> Double? { Self.mean(recalls.compactMap(\.self).flatMap { $0 }) }

        private static func mean(_ values: [Double]) -> Double? {
            values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
        }
    }

    /// The curves with at most `limit` boxes of a photo and class.
    func curves(_ area: Area, limit: Int) -> Curves {
        var result = Curves(precisions: [], recalls: [])
        for ofClass in matches {
            let photos = ofClass[area.rawValue]
            let wanted = photos.reduce(0) { $0 + $1.wanted }
            guard wanted > 0 else {
                result.precisions.append(nil)
                result.recalls.append(nil)
                continue
            }
            let all = photos.enumerated().flatMap { photo, found in
                found.scores.prefix(limit).enumerated().map { (score: $1, photo: photo, box: $0) }
            }
            let order = all.indices.sorted {
                all[$0].score != all[$1].score ? all[$0].score > all[$1].score : $0 < $1
            }
            var (precisions, recalls): ([[Double]], [Double]) = ([], [])
            for overlap in Self.overlaps.indices {
                var (right, wrong) = (0.0, 0.0)
                var (recall, precision): ([Double], [Double]) = ([], [])
                for index in order {
                    let (photo, box) = (photos[all[index].photo], all[index].box)
                    if !photo.isIgnored[overlap][box] {
                        if photo.isMatched[overlap][box] { right += 1 } else { wrong += 1 }
                    }
                    recall.append(right / Double(wanted))
                    precision.append(right / (right + wrong + Double.ulpOfOne))
                }
                for index in precision.indices.dropLast().reversed() {
                    precision[index] = max(precision[index], precision[index + 1])
                }
                var at = 0
                precisions.append(
                    Self.recalls.map { least in
                        while at < recall.count, recall[at] < least { at += 1 }
                        return at < recall.count ? precision[at] : 0
                    })
                recalls.append(recall.last ?? 0)
            }
            result.precisions.append(precisions)
            result.recalls.append(recalls)
        }
        return result
    }
}

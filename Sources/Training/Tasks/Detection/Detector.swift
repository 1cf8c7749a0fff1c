// What a detector's numbers mean: the boxes that it starts from, and those that it finds.

public import GraftImages
public import GraftNetworks
public import GraftTensors

/// SSD's boxes (arXiv:1512.02325) as torchvision defines them, and the way from a network's numbers to
/// what was found. Boxes have their edges as shares of the sides.
public struct Detector: Sendable {
    /// The kinds of things.
    public let classes: Int
    /// The boxes that the network moves, level after level, row after row.
    public let anchors: [Box]

    /// The numbers of a box: four of its edges, the scores of nothing and of each class.
    var width: Int { 5 + classes }
    /// The numbers of a photo.
    public var outputs: Int { anchors.count * width }

    /// The detector that `graph` ends in for inputs of this shape; nil if it is none.
    public init?(_ graph: Graph, input: Shape, classes: Int) throws {
        let shapes = try graph.shapes(input: input)
        let grids = graph.nodes.indices.filter {
            graph.nodes[$0].name.hasPrefix(Graph.detectorPrefix)
        }.map { shapes[$0] }
        guard !grids.isEmpty, classes > 0,
            grids.allSatisfy({ $0.rank == 4 && $0[1] == Graph.boxesPerPlace * (5 + classes) })
        else { return nil }
        self.classes = classes
        anchors = Detector.anchors(grids.map { (rows: $0[2], columns: $0[3]) })
        guard shapes[graph.output].rank == 2, shapes[graph.output][1] == anchors.count * width
        else { return nil }
    }

    /// Boxes whose sides grow from 0.15 to 0.9 over the levels: two squares, and two each of the
    /// proportions 2 and 3.
    static func anchors(_ grids: [(rows: Int, columns: Int)]) -> [Box] {
        let last = Double(max(grids.count - 1, 1))
        let sides = grids.indices.map { 0.15 + 0.75 * Double($0) / last } + [1]
        var anchors: [Box] = []
        for (level, grid) in grids.enumerated() {
            let side = sides[level]
            let between = (side * sides[level + 1]).squareRoot()
            var pairs = [(side, side), (between, between)]
            for ratio in [2.0, 3.0] {
                let root = ratio.squareRoot()
                pairs += [(side * root, side / root), (side / root, side * root)]
            }
            for row in 0..<grid.rows {
                for column in 0..<grid.columns {
                    let x = (Double(column) + 0.5) / Double(grid.columns)
                    let y = (Double(row) + 0.5) / Double(grid.rows)
                    for (w, h) in pairs.map({ (min($0, 1), min($1, 1)) }) {
                        anchors.append(
                            Box(
                                left: x - w / 2, top: y - h / 2, right: x + w / 2, bottom: y + h / 2
                            ))
                    }
                }
            }
        }
        return anchors
    }

    /// Of each anchor the box that it is to find, or nil: the one that it overlaps most, by half or
    /// more; and each box's best anchor finds it in any case.
    func matches(_ boxes: [Box]) -> [Int?] {
        var result = [Int?](repeating: nil, count: anchors.count)
        var best = [(anchor: Int, overlap: Double)](repeating: (0, -1), count: boxes.count)
        for (at, anchor) in anchors.enumerated() {
            var most = -1.0
            for (index, box) in boxes.enumerated() {
                let overlap = box.overlap(anchor)
                if overlap > best[index].overlap { best[index] = (at, overlap) }
                if overlap > most {
                    most = overlap
                    if overlap >= 0.5 { result[at] = index }
                }
            }
        }
        for (index, found) in best.enumerated() { result[found.anchor] = index }
        return result
    }

    /// How a box differs from an anchor: places in tenths of its sides, sizes in fifths of a
    /// logarithm.
    static func encoded(_ box: Box, from anchor: Box) -> [Double] {
        let (w, h) = (anchor.right - anchor.left, anchor.bottom - anchor.top)
        return [
            10 * ((box.left + box.right) - (anchor.left + anchor.right)) / 2 / w,
            10 * ((box.top + box.bottom) - (anchor.top + anchor.bottom)) / 2 / h,
            5 * logarithm((box.right - box.left) / w), 5 * logarithm((box.bottom - box.top) / h),
        ]
    }

    /// The other way, cut to the photo.
    static func decoded(_ numbers: some RandomAccessCollection<Float>, from anchor: Box) -> Box {
        let d = numbers.map { Double($0) }
        let (w, h) = (anchor.right - anchor.left, anchor.bottom - anchor.top)
        let largest = logarithm(1000.0 / 16)
        let x = (anchor.left + anchor.right) / 2 + d[0] / 10 * w
        let y = (anchor.top + anchor.bottom) / 2 + d[1] / 10 * h
        let (halfW, halfH) = (
            w * exponential(min(d[2] / 5, largest)) / 2, h * exponential(min(d[3] / 5, largest)) / 2
        )
        func cut(_ value: Double) -> Double { min(max(value, 0), 1) }
        return Box(
            left: cut(x - halfW), top: cut(y - halfH), right: cut(x + halfW), bottom: cut(y + halfH)
        )
    }

    /// What the numbers of one photo say is there, the surest first: of each class at most 400 boxes
    /// of more than 0.01, those that overlap a surer one by more than 0.45 left out, 200 in all.
    package func found(_ row: UnsafeBufferPointer<Float>, photo: Int = 0) -> [Detection] {
        precondition(row.count == anchors.count * width)
        var candidates: [[(score: Double, anchor: Int)]] = .init(repeating: [], count: classes)
        for anchor in anchors.indices {
            let shares = Ranking.softmax(
                .init(rebasing: row[(anchor * width + 4)..<((anchor + 1) * width)]))
            for label in 0..<classes where shares[label + 1] > 0.01 {
                candidates[label].append((Double(shares[label + 1]), anchor))
            }
        }
        var found: [Detection] = []
        for (label, list) in candidates.enumerated() {
            let surest = list.sorted {
                $0.score != $1.score ? $0.score > $1.score : $0.anchor < $1.anchor
            }.prefix(400)
            let boxes = surest.map { entry in
                Self.decoded(
                    row[(entry.anchor * width)..<(entry.anchor * width + 4)],
                    from: anchors[entry.anchor])
            }
            let scores = surest.map(\.score)
            for index in Suppression.kept(boxes, scores: scores, threshold: 0.45) {
                found.append(
                    Detection(photo: photo, label: label, box: boxes[index], score: scores[index]))
            }
        }
        return Array(found.sorted { $0.score > $1.score }.prefix(200))
    }
}

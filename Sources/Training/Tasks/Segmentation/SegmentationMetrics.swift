// How well pixels are classified: counts over a whole set, as MMSegmentation defines its figures.

/// The figures of segmentation over all pixels of a set; ignored ones are left out.
public struct SegmentationFigures: Sendable, Hashable, Codable {
    /// One class.
    public struct Class: Sendable, Hashable, Codable {
        /// The class, or `background`.
        public var name: String
        /// Hits over those and both kinds of errors; nil where the class is neither there nor found.
        public var iou: Double?
        /// Twice the hits over the pixels of the class and those taken for it.
        public var dice: Double?
        /// The share of its pixels that is right.
        public var accuracy: Double?
        /// The number of its pixels.
        public var pixels: Int
    }

    /// The mean IoU of the classes that occur, the background among them.
    public var meanIoU: Double?
    /// The mean Dice of the same.
    public var meanDice: Double?
    /// The share of pixels that is right.
    public var pixelAccuracy: Double?
    /// The mean of the classes' accuracies.
    public var meanAccuracy: Double?
    /// Class by class, the background first.
    public var perClass: [Class]
}

/// The figures of a segmenter.
public struct SegmentationMetrics: TaskMetrics {
    /// The figures; nil without validation images.
    public var segmentation: SegmentationFigures?

    /// The mean IoU.
    public var measure: Double? { segmentation?.meanIoU }

    /// The means.
    public var summary: [(name: String, value: Double?)] {
        [
            ("mean IoU", segmentation?.meanIoU), ("mean Dice", segmentation?.meanDice),
            ("pixel accuracy", segmentation?.pixelAccuracy),
            ("mean accuracy of the classes", segmentation?.meanAccuracy),
        ]
    }
}

extension Measured {
    /// The figures of segmentation; nil of other tasks.
    public var segmentation: SegmentationFigures? {
        (figures as? SegmentationMetrics)?.segmentation
    }
}

/// Counts of pixels: rows are the truth, columns the answer.
package struct PixelTally: EpochTally {
    private let classes: Int
    private var counts: [Int]

    package init(classes: Int) {
        self.classes = classes
        counts = [Int](repeating: 0, count: classes * classes)
    }

    /// Takes an image: scores (classes, H, W) and the class of each pixel.
    package mutating func add(_ scores: UnsafeBufferPointer<Float>, against truth: [UInt8]) {
        for (pixel, label) in truth.enumerated() where label != SegmentationLoss.ignored {
            var best = 0
            for k in 1..<classes
            where scores[k * truth.count + pixel] > scores[best * truth.count + pixel] {
                best = k
            }
            counts[Int(label) * classes + best] += 1
        }
    }

    /// Takes an image: the class that was found and the class that is there, pixel by pixel.
    package mutating func add(found: [UInt8], against truth: [UInt8]) {
        for (best, label) in zip(found, truth) where label != SegmentationLoss.ignored {
            counts[Int(label) * classes + Int(best)] += 1
        }
    }

    /// Takes the pixels of another tally.
    mutating func add(_ other: PixelTally) {
        for at in counts.indices { counts[at] += other.counts[at] }
    }

    /// Masks are learned by one process.
    mutating func join(_ crew: any Crew, images: Int) {}

    private func truths(_ k: Int) -> Int {
        (0..<classes).reduce(0) { $0 + counts[k * classes + $1] }
    }
    private func answers(_ k: Int) -> Int {
        (0..<classes).reduce(0) { $0 + counts[$1 * classes + k] }
    }
    private func hits(_ k: Int) -> Int { counts[k * classes + k] }

    private static func share(_ part: Int, of whole: Int) -> Double? {
        whole > 0 ? Double(part) / Double(whole) : nil
    }

    private static func mean(_ values: [Double?]) -> Double? {
        let known = values.compactMap(\.self)
        return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
    }

    private func iou(_ k: Int) -> Double? {
        Self.share(hits(k), of: truths(k) + answers(k) - hits(k))
    }

    /// The mean IoU of the classes that occur.
    var meanIoU: Double? { Self.mean((0..<classes).map(iou)) }

    /// The share of pixels that is right.
    var pixelAccuracy: Double? {
        Self.share((0..<classes).reduce(0) { $0 + hits($1) }, of: counts.reduce(0, +))
    }

    /// All figures; `names` are those of the classes after the background.
    package func figures(_ names: [String]) -> SegmentationFigures {
        let rows = (["background"] + names).enumerated().map { k, name in
            SegmentationFigures.Class(
                name: name, iou: iou(k),
                dice: Self.share(2 * hits(k), of: truths(k) + answers(k)),
                accuracy: Self.share(hits(k), of: truths(k)), pixels: truths(k))
        }
        return SegmentationFigures(
            meanIoU: Self.mean(rows.map(\.iou)), meanDice: Self.mean(rows.map(\.dice)),
            pixelAccuracy: pixelAccuracy, meanAccuracy: Self.mean(rows.map(\.accuracy)),
            perClass: rows)
    }
}

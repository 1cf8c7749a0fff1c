// How well single objects are localised.

import GraftImages

/// The figures of localisation.
public struct LocalizationMetrics: TaskMetrics {
    /// The share of images that are right: no object found where there is none, else the right class
    /// with a box that overlaps the annotated one by half (IoU) or more.
    public var localized: Double?
    /// The share of images whose presence of an object is right.
    public var presence: Double?
    /// Of images with an object, the share whose class is right.
    public var classAccuracy: Double?
    /// The mean IoU over images with an object.
    public var meanIoU: Double?
    /// The number of images with an object.
    public var objects = 0

    init() {}

    /// The share of images that are right.
    public var measure: Double? { localized }

    /// All of them.
    public var summary: [(name: String, value: Double?)] {
        [
            ("localised correctly", localized), ("presence accuracy", presence),
            ("class accuracy", classAccuracy), ("mean IoU", meanIoU),
        ]
    }

    private enum CodingKeys: String, CodingKey {
        case localized, presence, classAccuracy, meanIoU, objects
    }
}

extension Measured {
    /// The figures of localisation; nil of other tasks.
    public var localization: LocalizationMetrics? { figures as? LocalizationMetrics }
}

/// Counts of images by how their object was localised.
struct LocalizationTally: EpochTally {
    /// Images, images with an object, right presences, right classes, rightly localised images.
    private var counts = [Double](repeating: 0, count: 5)
    private var overlaps = 0.0

    /// Takes an image: y and the truth.
    mutating func add(_ y: [Float], against target: LocalizationTarget) {
        let isFound = y[0] >= 0.5
        counts[0] += 1
        counts[2] += isFound == (target.object != nil) ? 1 : 0
        guard let object = target.object else {
            counts[4] += isFound ? 0 : 1
            return
        }
        // Boxes end at the border of the image, as in every answer.
        let overlap = Box(center: y[1...4].map { Double($0) }).cut.overlap(object.box)
        let shares = Array(y[5...])
        let best = shares.withUnsafeBufferPointer { Ranking.best(of: $0) }
        counts[1] += 1
        counts[3] += best == object.label ? 1 : 0
        counts[4] += isFound && best == object.label && overlap >= 0.5 ? 1 : 0
        overlaps += overlap
    }

    mutating func join(_ crew: any Crew, images: Int) throws {
        // The sum of overlaps as two floats, so that nothing of a double is lost that counts.
        let high = Float(overlaps)
        var numbers = counts.map { Float($0) } + [high, Float(overlaps - Double(high))]
        try numbers.withUnsafeMutableBufferPointer { try crew.sum($0) }
        counts = numbers.prefix(5).map { Double($0) }
        overlaps = Double(numbers[5]) + Double(numbers[6])
    }

    /// The figures so far.
    var metrics: LocalizationMetrics {
        func share(_ part: Double, of whole: Double) -> Double? { whole > 0 ? part / whole : nil }
        var metrics = LocalizationMetrics()
        metrics.localized = share(counts[4], of: counts[0])
        metrics.presence = share(counts[2], of: counts[0])
        metrics.classAccuracy = share(counts[3], of: counts[1])
        metrics.meanIoU = share(overlaps, of: counts[1])
        metrics.objects = Int(counts[1])
        return metrics
    }
}

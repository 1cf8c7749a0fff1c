// What a detector answers of an image, and how its answers are measured.

public import GraftImages
import GraftNetworks
import GraftTensors

/// An object that was found in an image.
public struct FoundThing: Sendable, Hashable, Codable {
    /// The class.
    public var label: String
    /// The score, 0 to 1.
    public var score: Double
    /// Where, in pixels of the image.
    public var box: Box

    /// An object that was found.
    package init(label: String, score: Double, box: Box) {
        (self.label, self.score, self.box) = (label, score, box)
    }
}

/// The objects that were found in an image, and the best of any score.
package struct ObjectAnswer: TaskAnswer {
    package var things: [FoundThing]
    /// Not printed.
    package var best: FoundThing?

    private enum CodingKeys: String, CodingKey { case things }
}

extension BoxDetection {
    static func check(_ model: AnswerSite) throws {
        guard try Detector(model.graph, input: model.input, classes: model.labels.count) == nil
        else { return }
        throw noDetector
    }

    private static let noDetector = TaskFlaw(
        reason: "the network finds no boxes",
        hint: "train one that does: `graft train ANNOTATIONS --task detection …`")

    static func answers(_ model: AnswerSite) throws -> any TaskAnswers {
        try Objects(model)
    }

    /// Decodes the boxes of a row.
    struct Objects: TaskAnswers {
        /// The boxes that the network moves.
        let detector: Detector
        private let labels: [String]
        private let threshold: Double

        /// - Throws: ``TaskFlaw`` if the network ends in no detector.
        init(_ model: AnswerSite) throws {
            guard
                let detector = try Detector(
                    model.graph, input: model.input, classes: model.labels.count)
            else { throw noDetector }
            self.detector = detector
            labels = model.labels
            threshold = model.threshold ?? 0.5
        }

        /// Boxes are in the pixels of the whole image.
        func covering(_ preprocessing: Preprocessing) -> Int? { nil }

        func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer {
            let all = found(row, width: Double(width), height: Double(height))
            return ObjectAnswer(things: all.filter { $0.score >= threshold }, best: all.first)
        }

        /// Everything that a row finds in an image of this size, the best first.
        private func found(_ row: [Float], width: Double, height: Double) -> [FoundThing] {
            row.withUnsafeBufferPointer { detector.found($0) }.map { found in
                FoundThing(
                    label: labels.indices.contains(found.label)
                        ? labels[found.label] : "\(found.label)",
                    score: found.score,
                    box: Box(
                        left: found.box.left * width, top: found.box.top * height,
                        right: found.box.right * width, bottom: found.box.bottom * height))
            }
        }
    }

    static func meter(_ model: AnswerSite, classes: [String]) throws -> any AnswerMeter {
        Meter(detector: try Objects(model).detector, labels: model.labels)
    }

    /// Measures what is found against the annotated boxes.
    struct Meter: AnswerMeter {
        let detector: Detector
        let labels: [String]
        private let places: [String: Int]
        private var found = FoundBoxes()

        init(detector: Detector, labels: [String]) {
            self.detector = detector
            self.labels = labels
            places = Dictionary(
                labels.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            let target = DetectionTarget(item, places: places)
            found.add(
                answer.withUnsafeBufferPointer { detector.found($0, photo: found.images) },
                against: target)
        }

        func figures() -> (any TaskMetrics)? { DetectionMetrics(boxes: found.metrics(labels)) }
        var obstacle: String { "no image was answered" }
    }
}

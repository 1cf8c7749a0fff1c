// Boxes around objects, and their classes: SSD's boxes on the coarsest maps of a backbone.

import GraftImages
import GraftNetworks
import GraftTensors

/// Learns to find objects.
struct BoxDetection: Objective {
    typealias Metrics = DetectionMetrics
    typealias Answer = ObjectAnswer
    static let task = LearningTask.detection
    static let traits: TaskTraits = {
        // Images with boxes are divided by what they show.
        var traits = TaskTraits(.labels, measure: "AP", subject: "boxes") { _ in
            "classes of things in boxes"
        }
        traits.needsObjects = true
        traits.reducesToBoxes = true
        traits.seesWholeImage = true
        traits.answersRaw = true
        traits.takesDropout = false
        traits.outputNote = "The raw vector of a detector: boxes and scores are not decoded."
        traits.dataHint =
            "name annotations with boxes: a data.yaml, a COCO .json, a folder of .xml files or a table with "
            + "xmin, ymin, xmax, ymax"
        // Each image's share is by the boxes of the whole batch.
        traits.requiresOneProcess = "1 to learn boxes"
        traits.refusesBlending = "none to learn boxes"
        traits.refusesClasses = ("the network finds boxes, not the class of an image", nil)
        return traits
    }()

    let setting: ObjectiveSetting
    private var places: [String: Int]
    /// The meaning of the outputs; nil before the network is there.
    private var detector: Detector?

    init(_ setting: ObjectiveSetting) {
        self.setting = setting
        places = Dictionary(
            setting.classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try options.refuseExtras(expected: "none to learn boxes")
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withDetector(classes: setting.classes.count, input: input)
    }

    mutating func settle(on network: Graph, input: Shape) throws {
        detector = try Detector(network, input: input, classes: setting.classes.count)
        guard detector == nil else { return }
        throw TrainingError.option(
            "network", expected: "one with maps that a detector can read", found: setting.network)
    }

    private var settled: Detector {
        guard let detector else { preconditionFailure("`settle` comes before the first batch") }
        return detector
    }

    /// A class may have no boxes, if others have.
    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError) {
        if counts(training).allSatisfy({ $0 == 0 }) {
            throw .noObjects(reason: reasons.values.first)
        }
    }

    /// The images that show something of each class.
    func counts(_ items: [PhotoFolder.Item]) -> [Int] {
        var counts = [Int](repeating: 0, count: setting.classes.count)
        for item in items {
            let labels = DetectionTarget(item, places: places).entries.map(\.label)
            for label in Set(labels) { counts[label] += 1 }
        }
        return counts
    }

    /// The images with objects of each class, and the objects; sizes are not known yet.
    func survey(_ items: [PhotoFolder.Item]) -> (images: [Int], objects: [Int]) {
        var images = [Int](repeating: 0, count: setting.classes.count)
        var objects = images
        for item in items {
            let labels = item.annotations.filter { !$0.isCrowd && $0.boundingBox != nil }
                .compactMap { places[$0.label] }
            for label in labels { objects[label] += 1 }
            for label in Set(labels) { images[label] += 1 }
        }
        return (images, objects)
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> DetectionTarget {
        let target = DetectionTarget(item, places: places)
        return switch seen {
        case .none: target
        case .mirror: target.mirrored
        case .moved(let map): target.moved(by: map)
        }
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<DetectionTarget>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        Double(batch.targets.count)
            * settled.loss(
                outputs[0].values, batch.targets.map(\.learned), gradient: gradients[0])
    }

    var nothingMet: FoundBoxes { FoundBoxes() }

    func note(_ outputs: [OutputView], against targets: [DetectionTarget], in met: inout FoundBoxes)
    {
        for (row, target) in targets.enumerated() {
            met.add(settled.found(outputs[0][row], photo: met.images), against: target)
        }
    }

    func measure(of met: FoundBoxes, images: Int) -> Double? {
        met.metrics(setting.classes).ap
    }

    /// The score of judged images.
    struct Score: ImageScore {
        var loss = 0.0
        var measure: Double?
        var found = FoundBoxes()
        var boxes: BoxMetrics?
    }

    var nothingJudged: Score { Score() }

    func judge(
        _ outputs: [OutputView], against targets: [DetectionTarget], learner: any Learner,
        in score: inout Score
    ) {
        note(outputs, against: targets, in: &score.found)
        score.loss +=
            Double(targets.count) * settled.loss(outputs[0].values, targets.map(\.learned))
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
        score.boxes = score.found.metrics(setting.classes)
        score.measure = score.boxes?.ap
    }

    func metrics(of score: Score?) -> DetectionMetrics { DetectionMetrics(boxes: score?.boxes) }

    var mistakesNote: String { "" }

    /// An image has many answers.
    func mistakes(in score: Score, _ metrics: DetectionMetrics) -> [Wrong] { [] }

    func reportPart(of run: RunDescription, metrics: DetectionMetrics, score: Score?) -> String {
        let rows = zip(metrics.boxes?.perClass ?? [], run.trainingCounts).map { found, learned in
            [
                found.name, "\(learned)", "\(found.truths)", "\(found.detections)",
                HTML.number(found.ap), HTML.number(found.ap50), HTML.number(found.voc10),
            ]
        }
        return "<h2>Classes</h2>\n"
            + HTML.table(
                [
                    "class", "photos learned", "boxes validated", "found", "AP", "AP50",
                    "VOC 2010",
                ], rows)
    }
}

/// Boxes that were found in images, and those that are annotated.
struct FoundBoxes: EpochTally {
    private(set) var images = 0
    private var found: [Detection] = []
    private var truth: [TrueBox] = []

    /// Takes an image: what was found, in shares of its sides, and what is there.
    mutating func add(_ detections: [Detection], against target: DetectionTarget) {
        found += detections.map { detection in
            var detection = detection
            detection.box = target.inPixels(detection.box)
            return detection
        }
        truth += target.truth(photo: images)
        images += 1
    }

    /// Boxes are learned by one process.
    mutating func join(_ crew: any Crew, images: Int) {}

    /// The figures of the boxes so far.
    func metrics(_ classes: [String]) -> BoxMetrics {
        BoxMetrics(found, truth, photos: images, classes: classes)
    }
}

/// The figures of boxes.
public struct DetectionMetrics: TaskMetrics {
    /// The figures of found boxes; nil without validation images.
    public var boxes: BoxMetrics?

    /// COCO's average precision.
    public var measure: Double? { boxes?.ap }

    /// Average precisions and recall.
    public var summary: [(name: String, value: Double?)] {
        [
            ("average precision (COCO)", boxes?.ap), ("at an overlap of 0.5", boxes?.ap50),
            ("at an overlap of 0.75", boxes?.ap75),
            ("average recall, 100 boxes", boxes?.ar100),
            ("average precision (VOC 2010)", boxes?.voc10),
        ]
    }
}

extension Measured {
    /// The figures of found boxes; nil where the task finds none.
    public var boxes: BoxMetrics? { (figures as? DetectionMetrics)?.boxes }
}

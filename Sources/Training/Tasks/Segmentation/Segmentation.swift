// Semantic segmentation: the class of every pixel, or background.

import GraftImages
import GraftNetworks
import GraftTensors

/// Learns the class of each pixel from outlines and masks; pixels of no object are background.
struct Segmentation: Objective {
    typealias Metrics = SegmentationMetrics
    typealias Answer = SegmentAnswer
    static let task = LearningTask.segmentation
    static let settings: (any TaskSettings.Type)? = SegmentationSettings.self
    static let traits: TaskTraits = {
        var traits = TaskTraits(.labels, measure: "mIoU", subject: "masks") { _ in
            "classes of pixels"
        }
        traits.needsObjects = true
        traits.seesWholeImage = true
        traits.answersRaw = true
        traits.takesDropout = false
        traits.outputNote =
            "Probabilities (batch, classes, height, width); class 0 is the background, the labels follow."
        traits.dataHint =
            "name annotations with outlines or masks: a COCO .json, YOLO polygons, or a folder with "
            + "images/, masks/ and classes.txt"
        // The overlap of a class is that of the whole batch.
        traits.requiresOneProcess = "1 to learn masks"
        traits.refusesBlending = "none to learn masks"
        traits.refusesClasses = ("the network classifies pixels, not images", nil)
        return traits
    }()

    let setting: ObjectiveSetting
    private let chosen: SegmentationSettings
    let places: [String: Int]
    private let loss: SegmentationLoss

    init(_ setting: ObjectiveSetting) {
        self.setting = setting
        chosen = setting.settings as? SegmentationSettings ?? SegmentationSettings()
        places = Dictionary(
            setting.classes.enumerated().map { ($1, $0 + 1) },
            uniquingKeysWith: { first, _ in first })
        loss = SegmentationLoss(chosen.loss, classes: setting.classes.count + 1)
    }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try options.refuseExtras(expected: "none to learn masks")
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withSegmenter(chosen.head, classes: setting.classes.count + 1, input: input)
    }

    /// The scores before the softmax.
    func outputs(of network: Graph) -> [Int] { network.nodes[network.output].inputs }

    /// A class may have no pixels, if others have.
    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError) {
        let hasOutlines = training.contains { item in
            item.annotations.contains { $0.isOutlined && places[$0.label] != nil }
        }
        guard !hasOutlines else { return }
        throw .noObjects(
            reason: reasons.values.first
                ?? "segmentation learns outlines and masks, and the annotations have none")
    }

    /// The images that show something of each class.
    func counts(_ items: [PhotoFolder.Item]) -> [Int] { survey(items).images }

    func survey(_ items: [PhotoFolder.Item]) -> (images: [Int], objects: [Int]) {
        var images = [Int](repeating: 0, count: setting.classes.count)
        var objects = images
        for item in items {
            let labels = item.annotations.filter { !$0.isCrowd && $0.isOutlined }
                .compactMap { places[$0.label].map { $0 - 1 } }
            for label in labels { objects[label] += 1 }
            for label in Set(labels) { images[label] += 1 }
        }
        return (images, objects)
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) throws -> LabelMap {
        try LabelMap(
            item, places: places, width: setting.preprocessing.width,
            height: setting.preprocessing.height, seen: seen)
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<LabelMap>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        Double(batch.targets.count)
            * loss.mean(
                outputs[0].values, against: batch.targets.map(\.labels), gradient: gradients[0])
    }

    var nothingMet: PixelTally { PixelTally(classes: setting.classes.count + 1) }

    func note(_ outputs: [OutputView], against targets: [LabelMap], in met: inout PixelTally) {
        for (row, target) in targets.enumerated() {
            met.add(outputs[0][row], against: target.labels)
        }
    }

    func measure(of met: PixelTally, images: Int) -> Double? { met.meanIoU }

    /// The score of judged images: counts of pixels, and how much of each image is right.
    struct Score: ImageScore {
        var loss = 0.0
        var tally: PixelTally
        var right: [Float] = []

        var measure: Double? { tally.meanIoU }
    }

    var nothingJudged: Score { Score(tally: nothingMet) }

    func judge(
        _ outputs: [OutputView], against targets: [LabelMap], learner: any Learner,
        in score: inout Score
    ) {
        score.loss +=
            Double(targets.count) * loss.mean(outputs[0].values, against: targets.map(\.labels))
        for (row, target) in targets.enumerated() {
            var own = nothingMet
            own.add(outputs[0][row], against: target.labels)
            score.right.append(Float(own.pixelAccuracy ?? 1))
            score.tally.add(own)
        }
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
    }

    func metrics(of score: Score?) -> SegmentationMetrics {
        SegmentationMetrics(segmentation: score?.tally.figures(setting.classes))
    }

    var mistakesNote: String {
        "The validation images of which the smallest share of pixels is right, as the network sees them."
    }

    func mistakes(in score: Score, _ metrics: SegmentationMetrics) -> [Wrong] {
        score.right.enumerated().filter { $1 < 1 }.map { image, share in
            Wrong(
                image: image, shown: 0, truth: "masks",
                prediction:
                    "others in \(HTML.places(Double(100 * (1 - share)), 1)) % of the pixels",
                probability: nil, weight: 1 - share)
        }.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: SegmentationMetrics, score: Score?) -> String {
        let rows = (metrics.segmentation?.perClass ?? []).enumerated().map { index, found in
            [
                found.name, index == 0 ? "–" : "\(run.trainingCounts[index - 1])",
                "\(found.pixels)", HTML.number(found.iou), HTML.number(found.dice),
                HTML.number(found.accuracy),
            ]
        }
        return "<h2>Classes</h2><p>Pixels are those of the network's input.</p>\n"
            + HTML.table(
                ["class", "images learned", "pixels validated", "IoU", "Dice", "accuracy"], rows)
    }
}

/// Settings of segmentation.
public struct SegmentationSettings: TaskSettings {
    /// Segmentation.
    public static let task = LearningTask.segmentation

    /// A head that makes maps of the backbone's.
    public enum Head: String, Sendable, Hashable, Codable, CaseIterable {
        /// The coarsest map, scaled by a global mean, and one of a quarter of its stride (arXiv:1905.02244).
        case lraspp
        /// The coarsest map seen at several distances at once (arXiv:1706.05587).
        case deeplab
        /// All maps, from the coarsest to the finest (arXiv:1505.04597).
        case unet
    }

    /// The terms of the loss.
    public enum Loss: String, Sendable, Hashable, Codable, CaseIterable {
        /// Cross entropy of the pixels.
        case crossEntropy = "ce"
        /// One minus the Dice overlap of each class.
        case dice
        /// The sum of both.
        case both = "ce-dice"
    }

    /// The head.
    public var head = Head.unet
    /// The loss.
    public var loss = Loss.both

    /// The defaults.
    public init() {}

    /// The head and the loss.
    public var reported: [(name: String, value: String)] {
        [("segmentation", "\(head.rawValue) head, \(loss.rawValue) loss")]
    }
}

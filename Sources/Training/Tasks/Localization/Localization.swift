// Classification with localisation: whether an image shows an object, its box and its class.
//
// The answer is the vector y = [c, bx, by, bh, bw, classes]: the probability that there is an object, the
// centre and the sides of its box as shares of the image, and a softmax over the classes.

import GraftImages
import GraftNetworks
import GraftTensors

/// Learns the one object of each image: the largest that is annotated.
struct Localization: Objective {
    typealias Metrics = LocalizationMetrics
    typealias Answer = ObjectAnswer
    static let task = LearningTask.localization
    static let settings: (any TaskSettings.Type)? = LocalizationSettings.self
    static let traits: TaskTraits = {
        var traits = TaskTraits(.labels, measure: "localized", subject: "boxes") { _ in
            "classes of one object per image"
        }
        traits.needsObjects = true
        traits.reducesToBoxes = true
        traits.seesWholeImage = true
        traits.answersRaw = true
        traits.outputNote =
            "`[c, bx, by, bh, bw, classes]`: the probability of an object, its box by centre, height "
            + "and width as shares of the image, and the probability of each class."
        traits.dataHint = "name annotations with boxes, for example a COCO .json or a data.yaml"
        traits.refusesBlending = "none to learn boxes"
        traits.refusesClasses = ("the network finds the box of an object, not its class alone", nil)
        return traits
    }()

    let setting: ObjectiveSetting
    private let chosen: LocalizationSettings
    private let places: [String: Int]
    private let loss: LocalizationLoss

    init(_ setting: ObjectiveSetting) {
        self.setting = setting
        chosen = setting.settings as? LocalizationSettings ?? LocalizationSettings()
        places = Dictionary(
            setting.classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        loss = LocalizationLoss(settings: chosen, classes: setting.classes.count)
    }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try options.requireSteps(for: task)
        try TrainingError.require(
            options.labelSmoothing == 0, of: "label smoothing", "none to learn boxes",
            found: "\(options.labelSmoothing)")
        try TrainingError.require(
            options.balance == .none, of: "balance", "none to learn boxes",
            found: options.balance.rawValue)
        let weight = (settings as? LocalizationSettings)?.boxWeight ?? 1
        try TrainingError.require(
            weight > 0 && weight.isFinite, of: "weight of the box", "a number above 0",
            found: "\(weight)")
    }

    /// A linear layer of 5 + classes scores, and the functions that make y of them.
    func network(on backbone: Graph, input: Shape) throws -> Graph {
        let classes = setting.classes.count
        var graph = try backbone.withHead(
            classes: 5 + classes, hidden: setting.options.head.hidden,
            dropout: setting.options.dropout)
        let scores = graph.output
        graph.logits = nil
        func append(_ op: Op, named name: String, reading inputs: [Int]) -> Int {
            graph.nodes.append(Node(name: name, op: op, inputs: inputs, stage: "head"))
            return graph.nodes.count - 1
        }
        let presence = append(.slice(start: 0, count: 1), named: "object_score", reading: [scores])
        let box = append(.slice(start: 1, count: 4), named: "box_scores", reading: [scores])
        let kinds = append(
            .slice(start: 5, count: classes), named: "class_scores", reading: [scores])
        let parts = [
            append(.activation(.sigmoid), named: "object", reading: [presence]),
            append(
                .activation(chosen.box == .relu ? .relu : .sigmoid), named: "box", reading: [box]),
            append(.softmax, named: "class_shares", reading: [kinds]),
        ]
        graph.output = append(.concatenate, named: "localization", reading: parts)
        return graph
    }

    /// The scores: the functions after them are parts of the loss.
    func outputs(of network: Graph) -> [Int] {
        network.index(of: "object_score").map { network.nodes[$0].inputs } ?? [network.output]
    }

    /// A class may have no objects, if others have.
    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError) {
        if counts(training).allSatisfy({ $0 == 0 }) {
            throw .noObjects(reason: reasons.values.first)
        }
    }

    /// The images whose object is of each class.
    func counts(_ items: [PhotoFolder.Item]) -> [Int] {
        items.reduce(into: [Int](repeating: 0, count: setting.classes.count)) { counts, item in
            if let object = LocalizationTarget(item, places: places).object {
                counts[object.label] += 1
            }
        }
    }

    /// The largest annotation of each image, before its size is known.
    func survey(_ items: [PhotoFolder.Item]) -> (images: [Int], objects: [Int]) {
        var images = [Int](repeating: 0, count: setting.classes.count)
        for item in items {
            let largest = item.annotations.filter { !$0.isCrowd && places[$0.label] != nil }
                .max { ($0.boundingBox?.area ?? 0) < ($1.boundingBox?.area ?? 0) }
            if let label = largest.flatMap({ places[$0.label] }) { images[label] += 1 }
        }
        return (images, images)
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> LocalizationTarget {
        LocalizationTarget(item, places: places, seen: seen)
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<LocalizationTarget>,
        learner: any Learner, gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        loss.sum(outputs[0].values, against: batch.targets, gradient: gradients[0])
    }

    var nothingMet: LocalizationTally { LocalizationTally() }

    func note(
        _ outputs: [OutputView], against targets: [LocalizationTarget],
        in met: inout LocalizationTally
    ) {
        for (row, target) in targets.enumerated() {
            met.add(loss.answer(outputs[0][row]), against: target)
        }
    }

    func measure(of met: LocalizationTally, images: Int) -> Double? {
        met.metrics.localized
    }

    /// The score of judged images.
    struct Score: ImageScore {
        var loss = 0.0
        var tally = LocalizationTally()
        /// The overlap of each image's box, its answer and its truth, for the report.
        var answers: [(answer: [Float], target: LocalizationTarget)] = []

        var measure: Double? { tally.metrics.localized }
    }

    var nothingJudged: Score { Score() }

    func judge(
        _ outputs: [OutputView], against targets: [LocalizationTarget], learner: any Learner,
        in score: inout Score
    ) {
        score.loss += loss.sum(outputs[0].values, against: targets)
        note(outputs, against: targets, in: &score.tally)
        for (row, target) in targets.enumerated() {
            score.answers.append((loss.answer(outputs[0][row]), target))
        }
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
    }

    func metrics(of score: Score?) -> LocalizationMetrics {
        score?.tally.metrics ?? LocalizationMetrics()
    }
}

/// Settings of localisation.
public struct LocalizationSettings: TaskSettings {
    /// Localisation.
    public static let task = LearningTask.localization

    /// The function of the box's four numbers.
    public enum BoxFunction: String, Sendable, Hashable, Codable, CaseIterable {
        /// Between 0 and 1.
        case sigmoid
        /// 0 or more.
        case relu
    }

    /// The loss of the box.
    public enum BoxLoss: String, Sendable, Hashable, Codable, CaseIterable {
        /// The sum of the squares of the four differences.
        case squared
        /// 1 − GIoU (arXiv:1902.09630).
        case giou
    }

    /// The function of the box's four numbers.
    public var box = BoxFunction.sigmoid
    /// The loss of the box.
    public var loss = BoxLoss.squared
    /// The weight of the box in the sum of the losses.
    public var boxWeight = 1.0

    /// The defaults.
    public init() {}

    /// The function, the loss and its weight.
    public var reported: [(name: String, value: String)] {
        [("box", "\(box.rawValue), \(loss.rawValue) loss, weight \(boxWeight)")]
    }
}

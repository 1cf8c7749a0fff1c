// Any of several labels: a sigmoid and a threshold for each.

import GraftImages
import GraftNetworks
import GraftTensors

/// Numbers that the outputs are compared with one by one; they may be blended with another image's.
struct DenseTarget: Sendable, Hashable {
    var numbers: [Float]
}

/// Learns which labels hold of an image.
struct MultiLabel: Objective {
    typealias Metrics = MultiLabelMetrics
    typealias Answer = ClassAnswer
    static let task = LearningTask.multiLabel
    static let traits: TaskTraits = {
        var traits = TaskTraits(.labels, measure: "mAP", subject: "labels") { _ in "labels" }
        traits.hasProbabilities = true
        traits.hasThresholds = true
        traits.activation = { _ in .sigmoid }
        return traits
    }()

    let setting: ObjectiveSetting
    /// The weight of each label where it holds.
    private var weights: [Float]?

    init(_ setting: ObjectiveSetting) { self.setting = setting }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try options.requireSteps(for: task)
        if options.balance == .sampling {
            throw .option("balance", expected: "none or weights", found: options.balance.rawValue)
        }
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withScores(setting)
    }

    mutating func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) {
        guard setting.options.balance == .weights else { return }
        weights = counts(training).map { Float(training.count - $0) / Float(max($0, 1)) }
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> DenseTarget {
        DenseTarget(numbers: item.targets)
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<DenseTarget>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        DenseLoss.binaryCrossEntropy(labelSmoothing: setting.options.labelSmoothing).sum(
            outputs[0].values, width: outputs[0].width, targets: batch.blended, weights: weights,
            gradient: gradients[0])
    }

    var nothingMet: DenseAnswers { DenseAnswers() }

    func note(_ outputs: [OutputView], against targets: [DenseTarget], in met: inout DenseAnswers) {
        met.add(outputs[0], against: targets)
    }

    func measure(of met: DenseAnswers, images: Int) -> Double? {
        Self.meanPrecision(met)
    }

    /// The mean of the labels' average precisions; nil where none is defined.
    static func meanPrecision(_ found: DenseAnswers) -> Double? {
        guard let width = found.targets.first?.count else { return nil }
        let precisions = (0..<width).compactMap { k in
            ScoreMetrics.averagePrecision(
                found.answers.map { $0[k] }, found.targets.map { $0[k] > 0.5 })
        }
        return precisions.isEmpty ? nil : precisions.reduce(0, +) / Double(precisions.count)
    }

    /// The score of judged images.
    struct Score: ImageScore {
        var loss = 0.0
        var measure: Double?
        /// The probabilities and what holds.
        var found = DenseAnswers()
        /// Image by image, the scores before they are made probabilities.
        var logits: [[Float]] = []
    }

    var nothingJudged: Score { Score() }

    func judge(
        _ outputs: [OutputView], against targets: [DenseTarget], learner: any Learner,
        in score: inout Score
    ) {
        for (row, target) in targets.enumerated() {
            let logits = outputs[0][row]
            score.logits.append(Array(logits))
            score.loss += DenseLoss.binaryCrossEntropy(labelSmoothing: 0).sum(
                logits, width: outputs[0].width, targets: [target.numbers])
            score.found.add(
                logits.map { Float(sigmoid(Double($0))) }, against: target.numbers)
        }
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
        score.measure = Self.meanPrecision(score.found)
    }

    func metrics(of score: Score?) -> MultiLabelMetrics {
        MultiLabelMetrics(
            labels: score.map {
                LabelMetrics(
                    probabilities: $0.found.answers, targets: $0.found.targets,
                    names: setting.classes)
            })
    }

    func temperature(of score: Score) -> Double? {
        Temperature.fit(score.logits, targets: score.found.targets)
    }

    func calibrationError(of score: Score) -> Double? {
        LabelMetrics(
            probabilities: score.found.answers, targets: score.found.targets,
            names: setting.classes
        ).calibrationError
    }
}

/// The figures of labels.
public struct MultiLabelMetrics: TaskMetrics {
    /// The figures of labels; nil without validation images.
    public var labels: LabelMetrics?
    /// The mean of the labels' F1.
    public var macroF1: Double?

    init(labels: LabelMetrics?) {
        self.labels = labels
        macroF1 = labels?.macroF1
    }

    /// The mean average precision.
    public var measure: Double? { labels?.meanAveragePrecision }
    /// The probability from which each label holds.
    public var thresholds: [Float] { labels?.labels.map(\.threshold) ?? [] }

    /// Precisions, and how many answers are right.
    public var summary: [(name: String, value: Double?)] {
        [
            ("macro F1", macroF1),
            ("mean average precision", labels?.meanAveragePrecision),
            ("macro ROC-AUC", labels?.macroROCAUC), ("micro F1", labels?.microF1),
            ("photos with every label right", labels?.subsetAccuracy),
            ("share of wrong labels", labels?.hammingLoss),
            ("calibration error, 15 bins", labels?.calibrationError),
        ]
    }
}

extension Measured {
    /// The figures of labels; nil where the task has none.
    public var labels: LabelMetrics? { (figures as? MultiLabelMetrics)?.labels }
}

extension MultiLabel {
    var explainsMistakes: Bool { true }

    var mistakesNote: String {
        "The validation photos that were most surely taken for something else, as the "
            + "network sees them, and where it looked."
    }

    /// The one label of each image that is furthest from the truth.
    func mistakes(in score: Score, _ metrics: MultiLabelMetrics) -> [Wrong] {
        let thresholds = metrics.thresholds
        var found: [Wrong] = []
        for (image, (row, target)) in zip(score.found.answers, score.found.targets).enumerated() {
            let missed = row.indices.filter { (row[$0] >= thresholds[$0]) != (target[$0] > 0.5) }
            guard
                let k = missed.max(by: { abs(row[$0] - target[$0]) < abs(row[$1] - target[$1]) })
            else { continue }
            let name = setting.classes[k]
            found.append(
                Wrong(
                    image: image, shown: k, truth: target[k] > 0.5 ? name : "not \(name)",
                    prediction: target[k] > 0.5 ? "not \(name)" : name, probability: row[k],
                    weight: abs(row[k] - target[k])))
        }
        return found.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: MultiLabelMetrics, score: Score?) -> String {
        let rows = (metrics.labels?.labels ?? []).enumerated().map { index, label in
            [
                label.name, "\(run.trainingCounts[index])", "\(label.support)",
                HTML.places(Double(label.threshold), 3), HTML.number(label.precision),
                HTML.number(label.recall), HTML.number(label.f1), HTML.number(label.rocAUC),
                HTML.number(label.averagePrecision),
            ]
        }
        return "<h2>Labels</h2><p>A label is said to hold from its threshold on.</p>\n"
            + HTML.table(
                [
                    "label", "learned", "validated", "threshold", "precision", "recall", "F1",
                    "ROC-AUC", "average precision",
                ], rows)
    }

    static func answers(_ model: AnswerSite) -> any TaskAnswers {
        ClassRanking(model, tellsEach: true)
    }

    static func meter(_ model: AnswerSite, classes: [String]) -> any AnswerMeter {
        Meter(model, classes: classes)
    }

    /// Measures probabilities against the labels that hold.
    struct Meter: AnswerMeter {
        private let model: AnswerSite
        private let places: [Int?]
        private var found = DenseAnswers()

        init(_ model: AnswerSite, classes: [String]) {
            self.model = model
            places = classes.map { model.labels.firstIndex(of: $0) }
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            found.add(answer, against: item.row(places, count: model.labels.count))
        }

        func figures() -> (any TaskMetrics)? {
            MultiLabelMetrics(
                labels: LabelMetrics(
                    probabilities: found.answers, targets: found.targets, names: model.labels,
                    thresholds: model.thresholds))
        }
        var obstacle: String { "no image was answered" }
    }
}

extension PhotoFolder.Item {
    /// The numbers of a set's columns at the places of a model's outputs.
    func row(_ places: [Int?], count: Int) -> [Float] {
        var row = [Float](repeating: 0, count: count)
        for (at, value) in zip(places, targets) { if let at { row[at] = value } }
        return row
    }
}

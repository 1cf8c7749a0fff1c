// One or more numbers: the square of how far off the answers are.

import GraftImages
import GraftNetworks
import GraftTensors

/// Learns numbers, brought to mean 0 and deviation 1 so that one learning rate suits all.
struct Regression: Objective {
    typealias Metrics = RegressionMetrics
    typealias Answer = ValueAnswer
    static let task = LearningTask.regression
    static let traits: TaskTraits = {
        var traits = TaskTraits(.values, measure: "R2", subject: "numbers") {
            $0 == 1 ? "number" : "numbers"
        }
        traits.refusesClasses = ("the network predicts values, not classes", nil)
        return traits
    }()

    let setting: ObjectiveSetting
    /// The units of answers: mean and deviation of each over the training images.
    private var units: [(mean: Float, deviation: Float)] = []

    init(_ setting: ObjectiveSetting) { self.setting = setting }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try options.requireSteps(for: task)
        if options.balance != .none {
            throw .option("balance", expected: "none", found: options.balance.rawValue)
        }
        if options.labelSmoothing > 0 {
            throw .option(
                "label smoothing", expected: "0 for numbers", found: "\(options.labelSmoothing)")
        }
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withScores(setting)
    }

    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError) {
        if training.isEmpty { throw .noValues(reason: reasons.values.first) }
    }

    mutating func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) {
        units = setting.classes.indices.map { k in
            let values = training.map { Double($0.targets[k]) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance =
                values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
            return (Float(mean), variance > 0 ? Float(variance.squareRoot()) : 1)
        }
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> DenseTarget {
        DenseTarget(numbers: zip(item.targets, units).map { ($0 - $1.mean) / $1.deviation })
    }

    /// Numbers as people measure them.
    private func inUnits(_ numbers: [Float]) -> [Float] {
        zip(numbers, units).map { $0 * $1.deviation + $1.mean }
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<DenseTarget>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        DenseLoss.squaredError.sum(
            outputs[0].values, width: outputs[0].width, targets: batch.blended,
            gradient: gradients[0])
    }

    var nothingMet: DenseAnswers { DenseAnswers() }

    func note(_ outputs: [OutputView], against targets: [DenseTarget], in met: inout DenseAnswers) {
        met.add(outputs[0], against: targets)
    }

    func measure(of met: DenseAnswers, images: Int) -> Double? { Self.r2(met) }

    /// The mean R²; nil where none is defined.
    static func r2(_ found: DenseAnswers) -> Double? {
        guard let width = found.targets.first?.count else { return nil }
        let names = (0..<width).map { "\($0)" }
        return ValueMetrics(answers: found.answers, targets: found.targets, names: names).r2
    }

    /// The score of judged images, in deviations.
    struct Score: ImageScore {
        var loss = 0.0
        var measure: Double?
        var found = DenseAnswers()
    }

    var nothingJudged: Score { Score() }

    func judge(
        _ outputs: [OutputView], against targets: [DenseTarget], learner: any Learner,
        in score: inout Score
    ) {
        for (row, target) in targets.enumerated() {
            score.loss += DenseLoss.squaredError.sum(
                outputs[0][row], width: outputs[0].width, targets: [target.numbers])
            score.found.add(Array(outputs[0][row]), against: target.numbers)
        }
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
        score.measure = Self.r2(score.found)
    }

    func metrics(of score: Score?) -> RegressionMetrics {
        RegressionMetrics(
            values: score.map {
                ValueMetrics(
                    answers: $0.found.answers.map(inUnits),
                    targets: $0.found.targets.map(inUnits), names: setting.classes)
            })
    }

    /// The head learned numbers of mean 0 and deviation 1: makes it answer them as they are.
    func finish(_ weights: inout StateDict, of network: Graph) throws {
        guard let logits = network.logits else { return }
        for parameter in network.nodes[logits].parameters {
            guard var values = try weights[parameter.name]?.load().floats else { continue }
            let width = values.count / units.count
            for (k, unit) in units.enumerated() {
                for at in (k * width)..<((k + 1) * width) { values[at] *= unit.deviation }
                if parameter.role == .bias { values[k] += unit.mean }
            }
            weights[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
    }
}

/// The figures of numbers.
public struct RegressionMetrics: TaskMetrics {
    /// The figures of values; nil without validation images.
    public var values: ValueMetrics?

    /// The mean R².
    public var measure: Double? { values?.r2 }
    /// R².
    public var summary: [(name: String, value: Double?)] { [("R²", values?.r2)] }
}

extension Measured {
    /// The figures of values; nil where the task has none.
    public var values: ValueMetrics? { (figures as? RegressionMetrics)?.values }
}

extension Regression {
    var mistakesNote: String {
        "The validation photos whose answers are furthest off, as the network sees them."
    }

    func mistakes(in score: Score, _ metrics: RegressionMetrics) -> [Wrong] {
        func words(_ numbers: [Float]) -> String {
            inUnits(numbers).map { HTML.places(Double($0), 3) }.joined(separator: ", ")
        }
        let all = zip(score.found.answers, score.found.targets).enumerated().map { image, pair in
            let (row, truth) = pair
            let off = zip(row, truth).map { abs($0 - $1) }.max() ?? 0
            return Wrong(
                image: image, shown: 0, truth: words(truth), prediction: words(row),
                probability: nil, weight: off)
        }
        return all.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: RegressionMetrics, score: Score?) -> String {
        let values = metrics.values?.values ?? []
        let rows = values.map { value in
            [
                value.name, HTML.number(value.meanAbsoluteError),
                HTML.number(value.rootMeanSquaredError), HTML.number(value.r2),
            ]
        }
        var body = "<h2>Values</h2>\n"
        body += HTML.table(["value", "mean error", "root mean square", "R²"], rows)
        let answers = score?.found.answers.map(inUnits) ?? []
        let truths = score?.found.targets.map(inUnits) ?? []
        for (k, value) in values.enumerated() {
            body += Plot.scatter(
                value.name, zip(truths, answers).map { (Double($0[k]), Double($1[k])) })
        }
        return body
    }
}

/// A number that a model predicts.
public struct PredictedValue: Sendable, Hashable, Codable {
    /// Its name.
    public var name: String
    /// The number.
    public var value: Float
}

/// The numbers of an image by name.
package struct ValueAnswer: TaskAnswer {
    package var values: [PredictedValue]
}

extension Regression {
    static func answers(_ model: AnswerSite) -> any TaskAnswers { Values(model) }

    /// Names the numbers of a row.
    struct Values: TaskAnswers {
        private let labels: [String]

        init(_ model: AnswerSite) { labels = model.labels }

        func covering(_ preprocessing: Preprocessing) -> Int? { preprocessing.covering }

        func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer {
            ValueAnswer(values: values(row))
        }

        func values(_ row: [Float]) -> [PredictedValue] {
            row.enumerated().map { index, value in
                PredictedValue(
                    name: labels.indices.contains(index) ? labels[index] : "\(index)",
                    value: value)
            }
        }
    }

    static func meter(_ model: AnswerSite, classes: [String]) -> any AnswerMeter {
        Meter(model, classes: classes)
    }

    /// Measures numbers against those of the set.
    struct Meter: AnswerMeter {
        private let labels: [String]
        private let places: [Int?]
        private var found = DenseAnswers()

        init(_ model: AnswerSite, classes: [String]) {
            labels = model.labels
            places = classes.map { model.labels.firstIndex(of: $0) }
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            found.add(answer, against: item.row(places, count: labels.count))
        }

        func figures() -> (any TaskMetrics)? {
            RegressionMetrics(
                values: ValueMetrics(
                    answers: found.answers, targets: found.targets, names: labels))
        }
        var obstacle: String { "no image was answered" }
    }
}

// How well classes are recognised: what validation images score, and its figures.

import GraftTensors

/// The figures of a classifier.
public struct ClassificationMetrics: TaskMetrics {
    /// The share of images that is right.
    public var accuracy: Double?
    /// The share whose class is among the best five; nil of five classes or fewer.
    public var top5: Double?
    /// Precision, recall and F1 of all classes together.
    public var averages: AveragedScores?
    /// The mean F1 of the classes that occur.
    public var macroF1: Double?
    /// The value of scores before a threshold.
    public var scores: ScoreSummary?
    /// The scores of each class.
    public var perClass: [ClassScores]
    /// Rows are the truth.
    public var confusion: ConfusionMatrix

    /// The accuracy.
    public var measure: Double? { accuracy }

    /// Accuracies, and what scores are worth.
    public var summary: [(name: String, value: Double?)] {
        [
            ("validation accuracy", accuracy), ("top-5 accuracy", top5), ("macro F1", macroF1),
            ("macro ROC-AUC", scores?.macroROCAUC),
            ("mean average precision", scores?.meanAveragePrecision),
            ("calibration error, 15 bins", scores?.calibrationError),
            ("Brier score", scores?.brierScore),
        ]
    }

    /// The figures of probabilities of each image against its class; of none, a matrix of zeros.
    init(_ judged: ClassAnswers) {
        confusion = judged.confusion
        perClass = confusion.perClass
        guard !judged.labels.isEmpty else { return }
        let classes = perClass.count
        accuracy = confusion.accuracy
        macroF1 = confusion.macroF1
        averages = AveragedScores(confusion)
        top5 = classes > 5 ? Double(judged.hits) / Double(judged.labels.count) : nil
        scores = ScoreSummary(
            probabilities: judged.probabilities, labels: judged.labels, classes: classes)
    }
}

extension Measured {
    private var classification: ClassificationMetrics? { figures as? ClassificationMetrics }

    /// The share of images whose class was recognised; nil where there is no class.
    public var accuracy: Double? { classification?.accuracy }
    /// The share of images whose class is among the best five; nil of five classes or fewer.
    public var top5: Double? { classification?.top5 }
    /// Precision, recall and F1 of all classes together; nil where there is no class.
    public var averages: AveragedScores? { classification?.averages }
    /// The mean F1 over the classes or labels that occur; nil of others.
    public var macroF1: Double? { classification?.macroF1 ?? labels?.macroF1 }
    /// The value of scores before a threshold; nil where there is no class.
    public var scores: ScoreSummary? { classification?.scores }
    /// The scores of each class; empty where there is no class.
    public var perClass: [ClassScores] { classification?.perClass ?? [] }
    /// Rows are the truth; empty where there is no class.
    public var confusion: ConfusionMatrix {
        classification?.confusion ?? ConfusionMatrix(classes: 0)
    }
}

/// Answers to images of one class each.
struct ClassAnswers: Sendable {
    /// Image by image, the probability of each class.
    private(set) var probabilities: [[Float]] = []
    /// The class of each image.
    private(set) var labels: [Int] = []
    private(set) var confusion: ConfusionMatrix
    /// The images whose class is among the best five.
    private(set) var hits = 0

    init(classes: Int) { confusion = ConfusionMatrix(classes: classes) }

    /// Takes an image: its probabilities, and the scores or probabilities that they are ranked by.
    mutating func add(
        _ probabilities: [Float], rankedBy scores: UnsafeBufferPointer<Float>, label: Int
    ) {
        confusion.add(truth: label, prediction: Ranking.best(of: scores))
        hits += Ranking.isHit(label, within: 5, of: scores) ? 1 : 0
        labels.append(label)
        self.probabilities.append(probabilities)
    }

    /// Takes an image by its probabilities alone.
    mutating func add(_ probabilities: [Float], label: Int) {
        probabilities.withUnsafeBufferPointer { add(probabilities, rankedBy: $0, label: label) }
    }
}

extension Classification {
    /// The score of judged images.
    struct Score: ImageScore {
        var loss = 0.0
        var answers: ClassAnswers
        /// Image by image, what the network answers before it is made shares.
        var logits: [[Float]] = []

        var measure: Double? { answers.confusion.accuracy }
    }

    var nothingJudged: Score { Score(answers: ClassAnswers(classes: setting.classes.count)) }

    func judge(
        _ outputs: [OutputView], against targets: [ClassTarget], learner: any Learner,
        in score: inout Score
    ) {
        for (row, target) in targets.enumerated() {
            let logits = outputs[0][row]
            score.logits.append(Array(logits))
            score.loss += CrossEntropy().sum(
                logits: logits, classes: outputs[0].width, labels: [target.index])
            score.answers.add(
                Ranking.softmax(logits), rankedBy: logits, label: target.index)
        }
    }

    func conclude(_ score: inout Score, images: Int, learner: any Learner) {
        score.loss /= Double(max(images, 1))
    }

    func metrics(of score: Score?) -> ClassificationMetrics {
        ClassificationMetrics(score?.answers ?? ClassAnswers(classes: setting.classes.count))
    }

    func temperature(of score: Score) -> Double? {
        Temperature.fit(score.logits, labels: score.answers.labels)
    }

    func calibrationError(of score: Score) -> Double? {
        ScoreMetrics.calibrationError(score.answers.probabilities, score.answers.labels)
    }
}

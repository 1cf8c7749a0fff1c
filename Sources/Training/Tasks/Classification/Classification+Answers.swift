// What a classifier answers of an image, and how answers are measured.

package import GraftImages
import GraftTensors

/// A class or label and how probable it is.
public struct Prediction: Sendable, Hashable, Codable {
    /// The class's index among the logits.
    public var index: Int
    /// The class's name.
    public var label: String
    /// Its share of the softmax, 0 to 1; of labels, its own probability.
    public var probability: Float
    /// Of labels, whether it is said to hold: at its threshold or above. Of a binary classifier
    /// without two labels, whether its one probability is a half or more.
    public var holds: Bool?
}

/// The most probable classes or labels of an image, best first.
package struct ClassAnswer: TaskAnswer {
    package var predictions: [Prediction]
    /// Whether each holds by itself, and not the first alone; not printed.
    package var tellsEach: Bool

    private enum CodingKeys: String, CodingKey { case predictions }
}

/// Ranks the probabilities of classes or labels.
package struct ClassRanking: TaskAnswers {
    private let site: AnswerSite
    private let tellsEach: Bool

    package init(_ site: AnswerSite, tellsEach: Bool) {
        (self.site, self.tellsEach) = (site, tellsEach)
    }

    package func covering(_ preprocessing: Preprocessing) -> Int? { preprocessing.covering }

    package func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer {
        ClassAnswer(predictions: predictions(row), tellsEach: tellsEach)
    }

    /// The best of a row of probabilities. Of equal ones the first class wins, so that the order is
    /// always the same.
    package func predictions(_ row: [Float]) -> [Prediction] {
        let best = row.withUnsafeBufferPointer { Ranking.top(site.top, of: $0) }
        let isAlone = row.count == 1 && site.isBinary
        return best.map { index in
            let usual = site.thresholds.indices.contains(index) ? site.thresholds[index] : 0.5
            var holds: Bool?
            if tellsEach, let threshold = site.threshold {
                holds = Double(row[index]) >= threshold
            } else if tellsEach || isAlone {
                holds = row[index] >= usual
            }
            return Prediction(
                index: index,
                label: site.labels.indices.contains(index)
                    ? site.labels[index] : isAlone ? "positive" : "\(index)",
                probability: row[index], holds: holds)
        }
    }
}

extension Classification {
    static func answers(_ model: AnswerSite) -> any TaskAnswers {
        ClassRanking(model, tellsEach: false)
    }

    static func meter(_ model: AnswerSite, classes: [String]) -> any AnswerMeter {
        Meter(model, classes: classes)
    }

    /// Measures probabilities against the class of each image.
    struct Meter: AnswerMeter {
        /// The outputs of the set's classes.
        private let places: [Int?]
        private var answers: ClassAnswers

        init(_ model: AnswerSite, classes: [String]) {
            places = classes.map { model.labels.firstIndex(of: $0) }
            answers = ClassAnswers(classes: model.labels.count)
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            answers.add(answer, label: places[item.classIndex] ?? 0)
        }

        func figures() -> (any TaskMetrics)? { ClassificationMetrics(answers) }
        var obstacle: String { "no image was answered" }
    }
}

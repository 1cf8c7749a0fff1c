// `graft scores`, hidden: the metrics of given scores, for comparison with scikit-learn's.

import ArgumentParser
import Graft
import GraftFormats
import GraftTensors
import GraftTraining

struct ScoresCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scores", abstract: "Measure scores against the truth, case by case.",
        discussion: "Example: graft scores --probabilities p.npy --truth y.npy",
        shouldDisplay: false)

    @Option(help: "Scores, .npy of (cases, photos, classes).") var probabilities: String
    @Option(help: "Classes (cases, photos), or labels of 0 and 1 as large as the scores.")
    var truth: String

    struct Answer: Encodable {
        var accuracy: Double?
        var top2: Double?
        var averages: AveragedScores?
        var perClass: [ClassScores]?
        var scores: ScoreSummary?
        var labels: LabelMetrics?
    }

    func run() throws {
        let scores = try Npy.read(probabilities).converted(to: .f32)
        let truth = try Npy.read(truth).converted(to: .f32)
        guard scores.shape.rank == 3, truth.shape[0] == scores.shape[0],
            truth.shape[1] == scores.shape[1]
        else {
            throw ValidationError("expected (cases, photos, classes) and as many cases and photos")
        }
        let (cases, photos, classes) = (scores.shape[0], scores.shape[1], scores.shape[2])
        let (numbers, answers) = (scores.floats, truth.floats)
        let width = truth.shape.rank == 3 ? truth.shape[2] : 1
        var result: [Answer] = []
        for index in 0..<cases {
            func rows(_ list: [Float], _ width: Int) -> [[Float]] {
                (0..<photos).map { row in
                    let at = (index * photos + row) * width
                    return Array(list[at..<(at + width)])
                }
            }
            let probabilities = rows(numbers, classes)
            guard truth.shape.rank == 2 else {
                let metrics = LabelMetrics(
                    probabilities: probabilities, targets: rows(answers, width),
                    names: (0..<classes).map { "\($0)" })
                result.append(Answer(labels: metrics))
                continue
            }
            let labels = rows(answers, 1).map { Int($0[0]) }
            var confusion = ConfusionMatrix(classes: classes)
            var hits = 0
            for (row, label) in zip(probabilities, labels) {
                row.withUnsafeBufferPointer {
                    confusion.add(truth: label, prediction: Ranking.best(of: $0))
                    hits += Ranking.isHit(label, within: 2, of: $0) ? 1 : 0
                }
            }
            result.append(
                Answer(
                    accuracy: confusion.accuracy, top2: Double(hits) / Double(max(photos, 1)),
                    averages: AveragedScores(confusion), perClass: confusion.perClass,
                    scores: ScoreSummary(
                        probabilities: probabilities, labels: labels, classes: classes)))
        }
        Terminal.answer(try JSON.line(["cases": result]))
    }
}

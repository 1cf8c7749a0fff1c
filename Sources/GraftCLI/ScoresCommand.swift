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
    @Option(help: "Classes (cases, photos), or labels of 0 and 1 or numbers, one for each score.")
    var truth: String
    @Option(help: "From where on each label holds, .npy of (labels); else the best are looked for.")
    var thresholds: String?
    @Flag(help: "The scores are numbers, not shares.") var regression = false

    struct Answer: Encodable {
        var accuracy: Double?
        /// The share of photos whose class is among the best k, k = 1 ... classes.
        var top: [Double]?
        var confusion: ConfusionMatrix?
        var averages: AveragedScores?
        var perClass: [ClassScores]?
        var scores: ScoreSummary?
        var labels: LabelMetrics?
        var values: ValueMetrics?
    }

    func run() throws {
        let scores = try Npy.read(probabilities).converted(to: .f32)
        let truth = try Npy.read(truth).converted(to: .f32)
        let limits = try thresholds.map { try Npy.read($0).converted(to: .f32).floats }
        guard scores.shape.rank == 3, (2...3).contains(truth.shape.rank),
            truth.shape[0] == scores.shape[0], truth.shape[1] == scores.shape[1],
            truth.shape.rank == 2 || truth.shape[2] == scores.shape[2],
            limits.map({ $0.count == scores.shape[2] }) ?? true,
            truth.shape.rank == 3 || !regression
        else {
            throw ValidationError("expected (cases, photos, classes) and as many cases and photos")
        }
        let (cases, photos, classes) = (scores.shape[0], scores.shape[1], scores.shape[2])
        let (numbers, answers) = (scores.floats, truth.floats)
        let tellsAll = truth.shape.rank == 3
        let width = tellsAll ? classes : 1
        let names = (0..<classes).map { "\($0)" }
        let result = try (0..<cases).map { index in
            func rows(_ list: [Float], _ width: Int) -> [[Float]] {
                (0..<photos).map { row in
                    let at = (index * photos + row) * width
                    return Array(list[at..<(at + width)])
                }
            }
            let (found, truth) = (rows(numbers, classes), rows(answers, width))
            if regression {
                return Answer(values: ValueMetrics(answers: found, targets: truth, names: names))
            }
            if tellsAll {
                return Answer(
                    labels: LabelMetrics(
                        probabilities: found, targets: truth, names: names, thresholds: limits))
            }
            return try classScores(found, truth.map { $0[0] }, classes)
        }
        Terminal.answer(try JSON.line(["cases": result]))
    }

    private func classScores(_ found: [[Float]], _ truth: [Float], _ classes: Int) throws
        -> Answer
    {
        let labels = truth.map { Int($0) }
        guard labels.allSatisfy((0..<classes).contains) else {
            throw ValidationError("expected classes of 0 to \(classes - 1)")
        }
        var confusion = ConfusionMatrix(classes: classes)
        var hits = [Int](repeating: 0, count: classes)
        for (row, label) in zip(found, labels) {
            row.withUnsafeBufferPointer {
                confusion.add(truth: label, prediction: Ranking.best(of: $0))
                for k in 0..<classes where Ranking.isHit(label, within: k + 1, of: $0) {
                    hits[k] += 1
                }
            }
        }
        return Answer(
            accuracy: confusion.accuracy,
            top: hits.map { Double($0) / Double(max(labels.count, 1)) }, confusion: confusion,
            averages: AveragedScores(confusion), perClass: confusion.perClass,
            scores: ScoreSummary(probabilities: found, labels: labels, classes: classes))
    }
}

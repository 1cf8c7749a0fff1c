// The part of a report about classes, and the images that were taken for another class.

import GraftTensors

extension Classification {
    var explainsMistakes: Bool { true }

    var mistakesNote: String {
        "The validation photos that were most surely taken for something else, as the "
            + "network sees them, and where it looked."
    }

    func mistakes(in score: Score, _ metrics: ClassificationMetrics) -> [Wrong] {
        var found: [Wrong] = []
        let answers = zip(score.answers.probabilities, score.answers.labels)
        for (image, (row, label)) in answers.enumerated() {
            let best = row.withUnsafeBufferPointer { Ranking.best(of: $0) }
            guard best != label else { continue }
            found.append(
                Wrong(
                    image: image, shown: best, truth: setting.classes[label],
                    prediction: setting.classes[best], probability: row[best], weight: row[best]))
        }
        return found.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: ClassificationMetrics, score: Score?)
        -> String
    {
        var body = "<h2>Classes</h2>\n"
        let rows = metrics.perClass.enumerated().map { index, scores in
            [
                run.classes[index], "\(run.trainingCounts[index])", "\(scores.support)",
                HTML.places(scores.precision, 3), HTML.places(scores.recall, 3),
                HTML.places(scores.f1, 3),
            ]
                + [metrics.scores?.rocAUC[index], metrics.scores?.averagePrecision[index]].map {
                    HTML.number($0.flatMap { $0 })
                }
        }
        body += HTML.table(
            [
                "class", "learned", "validated", "precision", "recall", "F1", "ROC-AUC",
                "average precision",
            ], rows)
        body += "<h2>Confusion</h2><p>A row is the truth, a column what it was taken for.</p>\n"
        body += HTML.matrix(metrics.confusion, run.classes)
        if let bins = metrics.scores?.calibration {
            body += "<h2>Calibration</h2><p>How often answers were right, by how sure they were; "
            body += "a circle's area is the share of the photos.</p>\n"
            body += Plot.reliability(bins)
        }
        return body
    }
}

extension HTML {
    /// Three decimals, or a dash of nothing.
    static func number(_ value: Double?) -> String { value.map { places($0, 3) } ?? "–" }
}

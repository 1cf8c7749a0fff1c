// Classification on the command line: figures class by class, and the best classes of an image.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

enum ClassificationPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String { "the class of an image" }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        Report.matrix(measured.confusion, of: classes, columns: columns)
    }

    static func evaluation(_ evaluation: Evaluation) -> String {
        let scores = evaluation.scores
        var table = Table(
            ["class", "precision", "recall", "f1", "roc-auc", "ap", "photos"],
            numeric: [1, 2, 3, 4, 5, 6])
        for (index, found) in evaluation.confusion.perClass.enumerated() {
            table.add([
                evaluation.classes[index], decimals(found.precision, 3), decimals(found.recall, 3),
                decimals(found.f1, 3), Report.number(scores?.rocAUC[index]),
                Report.number(scores?.averagePrecision[index]), "\(found.support)",
            ])
        }
        let top5 = evaluation.top5.map { ", among the best five \(decimals($0, 4))" } ?? ""
        return """
            \(table.text(fitting: Terminal.answerWidth))

            \(Report.matrix(evaluation.confusion, of: evaluation.classes, columns: Terminal.answerWidth))

            macro F1 \(decimals(evaluation.macroF1 ?? 0, 4))  macro roc-auc \
            \(Report.number(scores?.macroROCAUC))  mean average precision \
            \(Report.number(scores?.meanAveragePrecision))  calibration error \
            \(Report.number(scores?.calibrationError))
            accuracy \(decimals(evaluation.accuracy ?? 0, 4))  (\(evaluation.confusion.correct) of \
            \(evaluation.confusion.count) photos\(top5))
            """
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        (1...max(top, 1)).flatMap {
            $0 == 1 ? ["label", "probability"] : ["label_\($0)", "probability_\($0)"]
        }
    }

    static func usualTop(isShort: Bool) -> Int { isShort ? 1 : 5 }
    static var takesTop: Bool { true }
    static var formats: [DataSetFormat] { [.folders, .csv, .labelstudio] }
}

extension ClassAnswer: ReadableAnswer {
    /// The labels that hold; of classes, the first.
    private var held: [Prediction] {
        tellsEach ? predictions.filter { $0.holds == true } : Array(predictions.prefix(1))
    }

    var table: String? {
        let holds = predictions.contains { $0.holds != nil }
        var table = Table(
            [holds ? "label" : "class", "probability"] + (holds ? ["holds"] : []) + [""],
            numeric: [1])
        for prediction in predictions {
            let share = min(max(prediction.probability, 0), 1)
            let cells = share.isFinite ? Int((share * 20).rounded()) : 0
            table.add(
                [prediction.label, decimals(prediction.probability, 3)]
                    + (holds ? [prediction.holds == true ? "yes" : "no"] : [])
                    + [String(repeating: "█", count: cells)])
        }
        return table.text
    }

    var summary: String {
        let shown = predictions.filter { $0.holds ?? true }
        guard !shown.isEmpty else {
            // The one probability of a binary classifier says enough.
            return predictions.count == 1
                ? "not \(predictions[0].label) \(decimals(predictions[0].probability, 3))"
                : "no label"
        }
        return shown.map { "\($0.label) \(decimals($0.probability, 3))" }.joined(separator: ", ")
    }

    func rows(labels: [String], top: Int) -> [[String]] {
        guard tellsEach else {
            let pairs = predictions.prefix(top).flatMap { [$0.label, "\($0.probability)"] }
            return [
                pairs + [String](repeating: "", count: max(0, 2 * max(top, 1) - pairs.count))
            ]
        }
        var shares = [String](repeating: "", count: labels.count)
        for prediction in predictions where shares.indices.contains(prediction.index) {
            shares[prediction.index] = "\(prediction.probability)"
        }
        let names = held.sorted { $0.index < $1.index }.map(\.label)
        return [[names.joined(separator: "|")] + shares]
    }

    var folders: [String] { held.map(\.label) }
    var section: String { tellsEach ? "" : predictions.first?.label ?? "" }

    func annotate(_ image: inout AnnotatedImage, in set: inout AnnotatedImages) {
        image.annotations = held.map { prediction in
            var annotation = Annotation(label: prediction.label)
            annotation.score = Double(prediction.probability)
            return annotation
        }
    }
}

extension Report {
    /// The confusion matrix: a row per true class, a column per predicted one. Where it has no room,
    /// or more classes than letters, what was confused most instead.
    static func matrix(_ confusion: ConfusionMatrix, of classes: [String], columns: Int?) -> String
    {
        let widest = confusion.rows.joined().max().map { "\($0)".count } ?? 1
        let names = max(classes.map(\.count).max() ?? 0, 17)
        guard classes.count <= 26, names + 3 + classes.count * (widest + 2) <= columns ?? 130 else {
            return confused(confusion, classes)
        }
        let keys = classes.indices.map { String(UnicodeScalar(UInt8(97 + $0 % 26))) }
        var table = Table(
            ["truth \\ predicted", ""] + keys, numeric: Set(2..<(2 + classes.count)))
        for (index, row) in confusion.rows.enumerated() {
            table.add([classes[index], keys[index]] + row.map { $0 == 0 ? "·" : "\($0)" })
        }
        return table.text
    }

    /// The pairs that are confused most often.
    private static func confused(
        _ confusion: ConfusionMatrix, _ classes: [String], limit: Int = 20
    ) -> String {
        let pairs = confusion.rows.enumerated().flatMap { truth, row in
            row.enumerated().filter { $0.offset != truth && $0.element > 0 }
                .map { (truth: truth, taken: $0.offset, photos: $0.element) }
        }.sorted { ($1.photos, $0.truth, $0.taken) < ($0.photos, $1.truth, $1.taken) }
        guard !pairs.isEmpty else { return "no class was taken for another" }
        var table = Table(["truth", "taken for", "photos"], numeric: [2])
        for pair in pairs.prefix(limit) {
            table.add([classes[pair.truth], classes[pair.taken], "\(pair.photos)"])
        }
        let rest = pairs.count - limit
        return table.text + (rest > 0 ? "\n… and \(rest) pairs more" : "")
    }
}

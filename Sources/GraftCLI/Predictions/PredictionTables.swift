// How predictions read on a terminal: a table for one image, a line per image for several.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// A table of the one image's answer.
struct AnswerTable: PredictionSink {
    let task: LearningTask

    mutating func add(_ report: ImageReport, of input: ImageInput) {
        if let things = report.things {
            // An empty table says less than the remark that goes with it.
            if things.isEmpty { return }
            var table = Table(
                ["object", "score", "left", "top", "right", "bottom"], numeric: [1, 2, 3, 4, 5])
            for thing in things {
                let box = thing.box
                table.add(
                    [thing.label, decimals(thing.score, 3)]
                        + [box.left, box.top, box.right, box.bottom].map { decimals($0, 1) })
            }
            Terminal.answer(table.text)
        } else if let values = report.values {
            var table = Table(["value", ""], numeric: [1])
            for value in values { table.add([value.name, decimals(value.value, 4)]) }
            Terminal.answer(table.text)
        } else if let predictions = report.predictions {
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
            Terminal.answer(table.text)
        }
    }
}

/// A line for each image: its path, and the answer in short.
struct AnswerLines: PredictionSink {
    /// The columns of the paths, which are known before the first answer.
    let width: Int

    init(_ inputs: [ImageInput]) {
        width = min(inputs.map(\.name.count).max() ?? 0, 60)
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) {
        guard report.error == nil else { return }
        let gap = String(repeating: " ", count: max(0, width - report.path.count))
        Terminal.answer("\(report.path)\(gap)  \(Self.summary(report))")
    }

    static func summary(_ report: ImageReport) -> String {
        if let things = report.things {
            guard let first = things.first else {
                return "no objects"
                    + (report.best.map { ", best score \(decimals($0.score, 3)) (\($0.label))" }
                        ?? "")
            }
            var counts: [(label: String, count: Int)] = []
            for thing in things {
                if let at = counts.firstIndex(where: { $0.label == thing.label }) {
                    counts[at].count += 1
                } else {
                    counts.append((thing.label, 1))
                }
            }
            return counts.map { "\($0.count) \($0.label)" }.joined(separator: ", ")
                + ", best score \(decimals(first.score, 3))"
        }
        if let values = report.values {
            return values.map { "\($0.name) \(decimals($0.value, 4))" }.joined(separator: ", ")
        }
        let predictions = report.predictions ?? []
        let shown = predictions.filter { $0.holds ?? true }
        guard !shown.isEmpty else {
            // The one probability of a binary classifier says enough.
            return predictions.count == 1
                ? "not \(predictions[0].label) \(decimals(predictions[0].probability, 3))"
                : "no label"
        }
        return shown.map { "\($0.label) \(decimals($0.probability, 3))" }.joined(separator: ", ")
    }
}

// `graft evaluate`: how well a model does on labelled photos.

import ArgumentParser
import Graft
import GraftTensors
import GraftTraining

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract:
            "Measure accuracy on a folder of photos: per class, and which is taken for which.",
        discussion: "Example: graft evaluate run/model.safetensors photos --split run/split.json")

    @Argument(help: "A native model.") var model: String
    @Argument(help: "A folder with one folder of photos per class.") var data: String
    @Option(help: "A run's split.json: evaluate its validation photos only.") var split: String?
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        let model = try await Models.open(self.model)
        let evaluation = try Evaluation(model, folder: data, splitFile: split) { done, total in
            Terminal.redraw(
                Terminal.bar("evaluate", done: done, of: total, detail: "\(done) of \(total)"))
        }
        Terminal.redraw("")
        for skipped in evaluation.skipped { Terminal.say("warning: skipped \(skipped)") }
        Terminal.answer(json ? try JSON.line(evaluation) : Report.text(evaluation))
    }
}

/// How an evaluation reads on a terminal.
enum Report {
    static func text(_ evaluation: Evaluation) -> String {
        var table = Table(
            ["class", "precision", "recall", "f1", "photos"], numeric: [1, 2, 3, 4])
        for (name, scores) in zip(evaluation.classes, evaluation.confusion.perClass) {
            table.add([
                name, decimals(scores.precision, 3), decimals(scores.recall, 3),
                decimals(scores.f1, 3), "\(scores.support)",
            ])
        }
        return """
            \(table.text)

            \(matrix(evaluation.confusion, evaluation.classes))

            accuracy \(decimals(evaluation.accuracy, 4))  (\(evaluation.confusion.correct) of \
            \(evaluation.confusion.count) photos, macro F1 \(decimals(evaluation.macroF1, 4)))
            """
    }

    /// The confusion matrix: a row per true class, a column per predicted one.
    static func matrix(_ confusion: ConfusionMatrix, _ classes: [String]) -> String {
        let keys = classes.indices.map { String(UnicodeScalar(UInt8(97 + $0 % 26))) }
        var table = Table(
            ["truth \\ predicted", ""] + keys, numeric: Set(2..<(2 + classes.count)))
        for (index, row) in confusion.rows.enumerated() {
            table.add([classes[index], keys[index]] + row.map { $0 == 0 ? "·" : "\($0)" })
        }
        return table.text
    }
}

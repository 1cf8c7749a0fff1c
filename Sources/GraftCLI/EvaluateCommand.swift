// `graft evaluate`: how well a model does on labelled photos.

import ArgumentParser
import Graft
import GraftTensors
import GraftTraining

struct EvaluateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract:
            "Measure how well a model does on labelled photos: per class, and which is taken for which.",
        discussion: "Example: graft evaluate run/model.safetensors photos --split run/split.json")

    @Argument(help: "A native model.") var model: String
    @Argument(help: "Labelled photos, as `graft train` takes them.") var data: String
    @OptionGroup var reading: DataSettings
    @Option(help: "A run's split.json: evaluate its validation photos only.") var split: String?
    @Flag(
        help: ArgumentHelp(
            "Also evaluate images that the model was trained on.",
            discussion: """
                By default they are left out: the split.json beside the model tells them, by their \
                contents.
                """)) var includeTraining = false
    @OptionGroup(title: "Model") var settings: ModelSettings
    @OptionGroup var execution: ExecutionSettings
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        var model = try await settings.open(self.model)
        model.execution = execution.options()
        let folder = try await Models.photos(at: data)
        let progress = JobProgress("evaluating")
        let evaluation = try Evaluation(
            model, folder: folder, reading: reading.reading, splitFile: split,
            includesTraining: includeTraining
        ) { done, total in
            progress.show(done, of: total)
        }
        progress.end()
        for remark in evaluation.leftOut { Terminal.say("warning: left out \(remark)") }
        for note in evaluation.notes { Terminal.say("note: \(note)") }
        if let split = evaluation.split {
            Terminal.say("note: `\(data)` is divided: evaluated its \(split.name) images")
        }
        if let remark = Report.overlap(evaluation) { Terminal.say(remark) }
        for skipped in evaluation.skipped { Terminal.say("warning: skipped \(skipped)") }
        Terminal.answer(json ? try JSON.line(evaluation) : Report.text(evaluation))
    }
}

/// How an evaluation reads on a terminal.
enum Report {
    /// What is to be said about images that the model was trained on; nil if there is nothing.
    static func overlap(_ evaluation: Evaluation) -> String? {
        let trained = evaluation.trained
        switch trained.unknown {
        case .splitMissing(let images):
            return "warning: the model was trained on \(images) images, and its split.json is not "
                + "beside it: if some of these images are among them, the scores are too good"
        case .otherSplit(let path):
            return
                "warning: `\(path)` is of another run than this model: if it was trained on some of "
                + "these images, the scores are too good"
        case .unrecorded:
            return "note: nothing records which images this model was trained on"
        case nil: break
        }
        guard trained.images > 0 else { return nil }
        let names = trained.evidence == .names ? " (recognised by their names)" : ""
        if trained.areIncluded {
            return "warning: \(trained.images) of \(evaluation.photos) images were learned from: "
                + "the scores are too good\(names)"
        }
        let all = trained.images + evaluation.photos + evaluation.skipped.count
        return
            "left out \(trained.images) of \(all) images, which the model was trained on\(names); "
            + "--include-training evaluates them too"
    }

    static func text(_ evaluation: Evaluation) -> String {
        if let labels = evaluation.labels { return self.labels(labels) }
        if let values = evaluation.values { return self.values(values) }
        if let boxes = evaluation.boxes { return self.boxes(boxes) }
        if let retrieval = evaluation.retrieval { return self.retrieval(retrieval) }
        let scores = evaluation.scores
        var table = Table(
            ["class", "precision", "recall", "f1", "roc-auc", "ap", "photos"],
            numeric: [1, 2, 3, 4, 5, 6])
        for (index, found) in evaluation.confusion.perClass.enumerated() {
            table.add([
                evaluation.classes[index], decimals(found.precision, 3), decimals(found.recall, 3),
                decimals(found.f1, 3), number(scores?.rocAUC[index]),
                number(scores?.averagePrecision[index]), "\(found.support)",
            ])
        }
        let top5 = evaluation.top5.map { ", among the best five \(decimals($0, 4))" } ?? ""
        return """
            \(table.text(fitting: Terminal.answerWidth))

            \(matrix(evaluation.confusion, evaluation.classes, columns: Terminal.answerWidth))

            macro F1 \(decimals(evaluation.macroF1 ?? 0, 4))  macro roc-auc \
            \(number(scores?.macroROCAUC))  mean average precision \
            \(number(scores?.meanAveragePrecision))  calibration error \
            \(number(scores?.calibrationError))
            accuracy \(decimals(evaluation.accuracy ?? 0, 4))  (\(evaluation.confusion.correct) of \
            \(evaluation.confusion.count) photos\(top5))
            """
    }

    private static func number(_ value: Double?) -> String { value.map { decimals($0, 3) } ?? "–" }

    /// How well labels are told.
    static func labels(_ metrics: LabelMetrics) -> String {
        var table = Table(
            ["label", "threshold", "precision", "recall", "f1", "roc-auc", "ap", "photos"],
            numeric: [1, 2, 3, 4, 5, 6, 7])
        for label in metrics.labels {
            table.add([
                label.name, decimals(label.threshold, 3), number(label.precision),
                number(label.recall), number(label.f1), number(label.rocAUC),
                number(label.averagePrecision), "\(label.support)",
            ])
        }
        return """
            \(table.text)

            mean average precision \(number(metrics.meanAveragePrecision))  (macro F1 \
            \(number(metrics.macroF1)), every label right in \(number(metrics.subsetAccuracy)) of photos)
            """
    }

    /// How well numbers are told.
    static func values(_ metrics: ValueMetrics) -> String {
        var table = Table(["value", "mean error", "root mean square", "R²"], numeric: [1, 2, 3])
        for value in metrics.values {
            table.add([
                value.name, number(value.meanAbsoluteError), number(value.rootMeanSquaredError),
                number(value.r2),
            ])
        }
        return table.text
    }

    /// How well photos find others of their class.
    static func retrieval(_ metrics: RetrievalMetrics) -> String {
        var table = Table(["class", "recall@1", "mAP@R", "photos"], numeric: [1, 2, 3])
        for found in metrics.perClass {
            table.add([
                found.name, number(found.recallAt1), number(found.mapAtR), "\(found.photos)",
            ])
        }
        return """
            \(table.text)

            recall@1 \(decimals(metrics.recallAt1, 4))  recall@5 \(decimals(metrics.recallAt5, 4))  \
            mAP@R \(decimals(metrics.mapAtR, 4))  (\(metrics.queries) photos asked for the others)
            """
    }

    /// The confusion matrix: a row per true class, a column per predicted one. Where it has no room,
    /// or more classes than letters, what was confused most instead.
    static func matrix(_ confusion: ConfusionMatrix, _ classes: [String], columns: Int?) -> String {
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

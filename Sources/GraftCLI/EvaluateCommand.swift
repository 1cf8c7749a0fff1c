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
        evaluation.task.presentation.evaluation(evaluation)
    }

    /// Three decimals, or a dash.
    static func number(_ value: Double?) -> String { value.map { decimals($0, 3) } ?? "–" }
}

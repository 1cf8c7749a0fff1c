// `graft predict`: what a model answers of images, one by one as it is known.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

struct PredictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Predict classes, labels, values or objects and their boxes.",
        discussion: """
            Example: graft predict run/model.safetensors image.jpg
            Example: graft predict run/model.safetensors images --csv > labels.csv
            Example: find . -name '*.jpg' | graft predict run/model.safetensors --files-from - --jsonl

            An image that cannot be read is named and skipped, and the exit code is 1 then.
            """)

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @OptionGroup var images: InputSettings
    @Option(
        help:
            "Number of classes or labels per image (default: 5; 1 for several images and with --csv)."
    )
    var top: Int?
    @Option(
        help:
            "Minimum score of a detection (default: 0.5), or probability of a label (default: the model's)."
    )
    var threshold: Double?
    @Option(
        help: ArgumentHelp(
            "Draw the boxes of a detection model.",
            discussion: """
                A PNG to write; for several images, or with a / at its end, a folder, in which each \
                image's is called NAME.boxes.png. Each class has a colour of its own.
                """)) var draw: String?
    @Option(help: "Folder in which to link the images, in a folder per class; nothing is moved.")
    var sortInto: String?
    @Option(
        help: ArgumentHelp(
            "Write annotations for other tools: yolo, coco, voc, createml, csv, labelstudio or folders.",
            discussion: """
                Into the new folder that -o names, with links to the images. Boxes in each format but \
                folders, labels of whole images in labelstudio, csv and folders. `graft train` and \
                `graft data` read them.
                """), transform: choice) var write: DataSetFormat?
    @Option(name: .shortAndLong, help: "Folder that --write makes.") var output: String?
    @Option(help: "Page with all images and their predictions to write: .html or .png.")
    var sheet: String?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup(title: "Model") var settings: ModelSettings
    @OptionGroup(title: "Model") var answers: AnswerSettings
    @OptionGroup var tasks: TaskOutputs
    @OptionGroup var execution: ExecutionSettings
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Print a JSON object per image and line.") var jsonl = false
    @Flag(help: "Print comma-separated rows with a header, which `graft train` reads.") var csv =
        false

    func validate() throws {
        if let top, top < 1 { throw ValidationError("--top must be at least 1, found \(top)") }
        if let threshold, !(0...1).contains(threshold) {
            throw ValidationError("--threshold must be 0 to 1, found \(threshold)")
        }
        guard (write == nil) == (output == nil) else {
            throw ValidationError(
                write == nil
                    ? "-o does nothing without --write" : "--write needs a new folder: add -o DIR")
        }
        guard [json, jsonl, csv].count(where: \.self) <= 1 else {
            throw ValidationError("--json, --jsonl and --csv exclude each other")
        }
    }

    func run() async throws {
        let inputs = try await images.inputs()
        var model = try await settings.open(
            self.model, architecture: architecture, task: self.answers.task)
        model.execution = execution.options()
        try refuseIdle(model)
        let isSingle = inputs.count == 1 && !inputs[0].isVideo
        let isShort = !isSingle && !json && !jsonl || csv
        let words = model.task.presentation
        let top = top ?? words.usualTop(isShort: isShort)
        let answers = try ImageAnswers(
            model, batch: inputs.contains(where: \.isVideo) ? 1 : min(8, inputs.count),
            top: top, threshold: threshold)
        var sinks = try tasks.sinks(model)
        if let sortInto { sinks.append(try ClassLinks(sortInto, model)) }
        if let write, let output { sinks.append(try WrittenAnnotations(output, write, model)) }
        if let sheet {
            sinks.append(try PredictionSheet(sheet, model, reference: self.model))
        }
        var drawings = try draw.map {
            try BoxDrawings($0, model, reference: self.model, isSingle: isSingle)
        }
        if json {
            sinks.append(AnswerObject())
        } else if jsonl {
            sinks.append(AnswerObjects())
        } else if csv {
            sinks.append(AnswerRows(model, top: top))
        } else if isSingle {
            sinks.append(AnswerTable())
        } else {
            sinks.append(AnswerLines(inputs))
        }
        let stream = ImageStream(
            inputs, every: images.every, model.preprocessing, covering: answers.covering)
        // The bar would only hide what a person reads as it comes.
        let progress = Terminal.answerWidth == nil && !isSingle ? JobProgress("predicting") : nil
        var tally = Tally()
        var waiting: [(input: ImageInput, image: PreparedImage)] = []
        func flush() throws {
            for ((input, image), answer) in zip(waiting, try answers.answers(waiting.map(\.image)))
            {
                var report = ImageReport(
                    input.name, answer, width: image.width, height: image.height)
                report.drawing = drawings?.path(of: input.name)
                try drawings?.add(report, of: input)
                tally.count(report)
                for index in sinks.indices { try sinks[index].add(report, of: input) }
            }
            waiting.removeAll(keepingCapacity: true)
            progress?.show(tally.done, of: stream.total)
        }
        let batch = min(8, inputs.count)
        while let (input, image) = stream.read() {
            switch image {
            case .success(let image):
                waiting.append((input, image))
                if waiting.count == batch || stream.total == nil { try flush() }
            case .failure(let error):
                // Answers keep the order of the images.
                try flush()
                // Of one file there is nothing else to say.
                if inputs.count == 1 { throw error }
                let report = ImageReport(input.name, error: error)
                tally.count(report)
                Terminal.say("warning: skipped \(input.name): \(report.error ?? "")")
                for index in sinks.indices { try sinks[index].add(report, of: input) }
            }
        }
        try flush()
        progress?.end()
        for index in sinks.indices { try sinks[index].finish() }
        drawings?.finish()
        if let remark = tally.remark(threshold: threshold ?? 0.5) { Terminal.say(remark) }
        if tally.failed > 0 { throw InputError.skipped(tally.failed, of: tally.done) }
    }

    /// Refuses options that would change nothing of what this model answers.
    private func refuseIdle(_ model: Model) throws {
        if top != nil, !model.task.presentation.takesTop {
            throw ValidationError(
                "--top does nothing with a model for \(model.task.rawValue), which ranks no classes"
            )
        }
        if threshold != nil, !model.task.presentation.takesThreshold {
            throw ValidationError(
                "--threshold does nothing with a model for \(model.task.rawValue): "
                    + "it is for detection and multi-label models")
        }
    }
}

/// What was answered so far.
private struct Tally {
    private(set) var done = 0
    private(set) var failed = 0
    private var empty = 0
    private var best: FoundThing?

    mutating func count(_ report: ImageReport) {
        done += 1
        if report.error != nil { failed += 1 }
        guard let objects = report.answer?.objects, objects.isEmpty else { return }
        empty += 1
        if let found = objects.best, found.score > best?.score ?? 0 { best = found }
    }

    /// What to say where nothing reached the threshold; nil where something did.
    func remark(threshold: Double) -> String? {
        guard empty > 0, empty == done - failed else { return nil }
        let what = done == 1 ? "no object" : "no object in any of \(done) images"
        guard let best else { return "note: \(what) has a score above 0.01" }
        // A round number below the best, so that at least that one is shown.
        let share = (best.score * 20).rounded(.down) / 20
        let lower = share > 0 && share < threshold ? share : best.score * 0.9
        return "note: \(what) reaches the threshold \(decimals(threshold, 2)): the best score is "
            + "\(decimals(best.score, 3)) (`\(best.label)`); try --threshold "
            + decimals(lower, lower < 0.05 ? 3 : 2)
    }
}

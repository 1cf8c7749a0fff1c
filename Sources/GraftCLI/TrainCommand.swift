// `graft train`: a new head on a published backbone, from a folder of photos.

import ArgumentParser
import FoundationEssentials
import Glibc
import Graft
import GraftCache
import GraftNetworks
import GraftTensors
import GraftTraining

struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a new head, and a part of the backbone if asked to, on labelled photos.",
        discussion: """
            Example: graft train images
            Example: graft train images --backbone resnet50 -o run

            DATA is a folder with one folder of photos per class, a table (.csv, .jsonl), \
            annotations (COCO's .json, YOLO's .yaml, a Pascal VOC folder), a .tar of photos, or a \
            data set of the Hub whose photos are in folders (hf://datasets/organisation/name).
            """)

    @Argument(help: "Labelled photos: see above.")
    var data: String
    @Option(
        help:
            "Network to build on: a native model, a reference or a weight file (default: timm/tf_efficientnet_lite0)."
    )
    var backbone: String?
    @Option(
        name: .shortAndLong,
        help: "Run folder; created if missing (default: the next free runs/N).")
    var output: String?
    @Option(help: "Validation photos; without them a part of DATA is kept back.")
    var validation: String?
    @OptionGroup var reading: DataSettings
    @OptionGroup var settings: TrainSettings
    @OptionGroup(title: "Backbone") var backboneSettings: ModelSettings
    @OptionGroup var tasks: TaskOptions
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @Flag(help: "Go on from the checkpoint in the run's folder.") var resume = false
    @Flag(help: "Replace what an earlier run left in the folder.") var overwrite = false
    @Flag(
        help: ArgumentHelp(
            "Train together with the other processes of `mpirun`.",
            discussion: "Example: mpirun -n 4 graft train photos --backbone … -o run --distributed")
    )
    var distributed = false
    @Flag(help: "Look for a learning rate, print what was found, and train nothing.")
    var findRate = false
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let model: String
        let metrics: TrainingMetrics
    }

    private static let defaultBackbone = "timm/tf_efficientnet_lite0"

    func validate() throws {
        if output == nil {
            for (name, isGiven) in [
                ("--resume", resume), ("--overwrite", overwrite), ("--distributed", distributed),
            ] where isGiven {
                throw ValidationError("\(name) needs the folder of the run: add -o RUN")
            }
        }
        if resume, settings.head == .logistic || settings.head == .knn {
            throw ValidationError(
                "--resume does nothing with `--head \(settings.head.rawValue)`, which does not learn in epochs"
            )
        }
        if findRate {
            for (name, isGiven) in [
                ("-o", output != nil), ("--resume", resume), ("--overwrite", overwrite),
            ] where isGiven {
                throw ValidationError("\(name) does nothing with --find-rate, which trains nothing")
            }
        }
        _ = try tasks.settings(reading.task)
    }

    func run() async throws {
        let isNumbered = output == nil && !findRate
        let folder = try output ?? (findRate ? "" : RunNumber.claim())
        defer { if isNumbered { RunNumber.release(folder) } }
        if isNumbered { Terminal.say("run folder: \(folder)") }
        guard distributed else {
            let watched = EndedRun(
                "error: interrupted",
                checkpoint: findRate ? nil : folder + "/checkpoint.safetensors")
            defer { watched.cancel() }
            return try await run(Alone(), in: folder)
        }
        let crew = try MPICrew()
        let ending = Ending(crew, checkpoint: folder + "/checkpoint.safetensors")
        do {
            try await run(crew, in: folder)
        } catch {
            ending.explain(error)
        }
        ending.cancel()
        crew.leave()
    }

    private func run(_ crew: any Crew, in output: String) async throws {
        let speaks = crew.rank == 0
        let path = output + "/model.safetensors"
        guard findRate || overwrite || resume || !FileManager.default.fileExists(atPath: path)
        else {
            throw ModelError.unusable(
                output, reason: "holds a finished run already",
                hint: "name another folder with -o, or add `--overwrite`")
        }
        let checkpoint = output + "/checkpoint.safetensors"
        if speaks, !findRate, !overwrite, !resume,
            FileManager.default.fileExists(atPath: checkpoint)
        {
            Terminal.say(
                "note: starting anew, over the unfinished run in \(output); `--resume` goes on from its last epoch"
            )
        }
        // A folder that holds no classes is found out before anything is fetched.
        let source = PhotoSource(
            try await Models.photos(
                at: data, progress: Progress.fetching(quiet: !speaks, json: false)),
            validation: try await validation.asyncMap {
                try await Models.photos(
                    at: $0, progress: Progress.fetching(quiet: !speaks, json: false))
            }, reading: reading.reading
        )
        let photos = try PhotoFolder.open(source.path, source.reading)
        try photos.requireForTraining()
        var options = try settings.options()
        let taskSettings = try tasks.settings(reading.task)
        let learned =
            taskSettings.map { type(of: $0).task } ?? reading.task ?? photos.labelling.usualTask
        let givenSplit =
            source.validation != nil
            ? "`--validation`"
            : photos.only(.validation).items.isEmpty ? nil : "the set's own validation images"
        try settings.refuseIdle(
            settings.context(task: learned, givenSplit: givenSplit, findsRate: findRate))
        if speaks {
            DataSettings.say(of: photos)
            Terminal.say(
                learned.presentation.line(
                    for: learned, on: photos, isGuessed: reading.task == nil && taskSettings == nil)
            )
            if backbone == nil {
                Terminal.say("backbone: \(Self.defaultBackbone) (--backbone names another)")
            }
        }
        let backbone = backbone ?? Self.defaultBackbone
        let model = try await backboneSettings.open(
            backbone, architecture: architecture, quiet: !speaks,
            progress: Progress.fetching(backbone))
        let cache = Cache().root
        let live = EpochTable(
            learned,
            split: source.validation.map { "validation: `\($0)`" }
                ?? (photos.only(.validation).items.isEmpty
                    ? "\(decimals(options.validationFraction * 100, 0)) % kept back, seed \(options.seed)"
                    : "validation: the set's own")
        )
        if findRate || settings.searchesRate {
            let search = try model.findRate(
                on: source, options: options, task: taskSettings, cacheFolder: cache
            ) {
                live.show($0)
            }
            if findRate {
                if speaks { try Self.answer(search, json: json) }
                return
            }
            guard let rate = search.suggestion else {
                throw ModelError.unusable(
                    "--learning-rate auto", reason: "the loss falls at none of the rates",
                    hint: "name a rate yourself, for example 0.001")
            }
            Terminal.say("learning rate \(threeDigits(rate))")
            options.learningRate = rate
        }
        let (_, result) = try model.train(
            on: source, options: options, task: taskSettings,
            recipe: settings.headFirst ? .headFirst : .plain,
            runFolder: output, cacheFolder: cache, resume: resume,
            command: CommandLine.arguments.map(shellQuoted).joined(separator: " "), crew: crew
        ) { live.show($0) }
        live.close()
        guard speaks else { return }
        let skipped = result.metrics.skippedPhotos
        if skipped > 0 {
            Terminal.say(
                "warning: \(skipped) \(skipped == 1 ? "photo" : "photos") skipped: not readable")
        }
        if json {
            Terminal.answer(try JSON.line(Answer(model: path, metrics: result.metrics)))
            return
        }
        if result.metrics.validationPhotos > 0 {
            let figures = result.metrics.task.presentation.figures(
                result.metrics, classes: result.classes,
                columns: Terminal.isInteractive ? Terminal.width : nil)
            if let figures { Terminal.say(figures) }
            if let temperature = result.metrics.temperature {
                let errors = [
                    temperature.calibrationErrorBefore, temperature.calibrationErrorAfter,
                ]
                .map { $0.map { decimals($0, 4) } ?? "–" }
                Terminal.say(
                    "calibrated by temperature \(decimals(temperature.value, 3)): calibration error "
                        + "\(errors[0]) before, \(errors[1]) after")
            }
            Terminal.say(
                "validation \(result.metrics.task.measure) "
                    + (result.metrics.measure.map { decimals($0, 4) } ?? "–") + " "
                    + Self.place(of: result))
        }
        Terminal.answer(path)
    }

    /// Where the best was met: not all heads learn by epochs.
    private static func place(of result: TrainingResult) -> String {
        let best = result.history.first { $0.epoch == result.metrics.bestEpoch }
        if let penalty = best?.penalty { return "with penalty \(decimals(penalty, 6))" }
        if let count = best?.neighbours { return "with \(count) neighbours" }
        return "after epoch \(result.metrics.bestEpoch)"
    }

    private struct Found: Encodable {
        let suggestion: Double?
        let points: [RateSearch.Point]
    }

    private static func answer(_ search: RateSearch, json: Bool) throws {
        if json {
            let found = Found(suggestion: search.suggestion, points: search.points)
            return Terminal.answer(try JSON.line(found))
        }
        var table = Table(["learning rate", "loss", "smoothed"], numeric: [0, 1, 2])
        for point in search.points {
            table.add([
                "\(threeDigits(point.rate))", decimals(point.loss, 4), decimals(point.smoothed, 4),
            ])
        }
        Terminal.say(table.text)
        // Where it ends the loss blows up: what came before is told apart by its logarithm only.
        let losses = search.points.map { log(max($0.smoothed, 1e-9)) }
        Terminal.say("loss over rate: " + Sparkline.text(thinned: losses))
        Terminal.answer(search.suggestion.map { "\(threeDigits($0))" } ?? "none")
    }
}

/// A number with three digits that say something: a rate is not known better.
private func threeDigits(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return value }
    let scale = pow(10, 2 - floor(log10(value)))
    return (value * scale).rounded() / scale
}

/// An argument as a shell reads it back.
func shellQuoted(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || "-_./:=@,+".utf8.contains(byte)
    }
    guard !plain || text.isEmpty else { return text }
    return "'"
        + text.split(separator: "'", omittingEmptySubsequences: false)
        .joined(separator: "'\\''") + "'"
}

extension Optional {
    /// What `body` makes of the value, if there is one.
    func asyncMap<Result>(_ body: (Wrapped) async throws -> Result) async rethrows -> Result? {
        guard let self else { return nil }
        return try await body(self)
    }
}

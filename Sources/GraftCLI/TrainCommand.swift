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
            Example: graft train photos --backbone timm/tf_efficientnet_lite0 -o run

            DATA is a folder with one folder of photos per class, a table (.csv, .jsonl), \
            annotations (COCO's .json, YOLO's .yaml, a Pascal VOC folder), a .tar of photos, or a \
            data set of the Hub whose photos are in folders (hf://datasets/organisation/name).
            """)

    @Argument(help: "Labelled photos: see above.")
    var data: String
    @Option(help: "The network to build on: a native model, a reference or a weight file.")
    var backbone: String
    @Option(name: .shortAndLong, help: "The folder of the run; made if it is not there.")
    var output: String?
    @Option(help: "Validation photos; without them a part of DATA is kept back.")
    var validation: String?
    @OptionGroup var reading: DataSettings
    @OptionGroup var settings: TrainSettings
    @OptionGroup(title: "Backbone") var backboneSettings: ModelSettings
    @OptionGroup(title: "Embeddings") var likeness: EmbeddingArguments
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

    func validate() throws {
        guard findRate || output != nil else {
            throw ValidationError("name a folder for the run with -o")
        }
        _ = try likeness.settings(reading.task)
    }

    func run() async throws {
        guard distributed else {
            let watched = EndedRun(
                "error: interrupted",
                checkpoint: findRate ? nil : (output ?? "") + "/checkpoint.safetensors")
            defer { watched.cancel() }
            return try await run(Alone())
        }
        let crew = try MPICrew()
        let ending = Ending(crew, checkpoint: (output ?? "") + "/checkpoint.safetensors")
        do {
            try await run(crew)
        } catch {
            ending.explain(error)
        }
        ending.cancel()
        crew.leave()
    }

    private func run(_ crew: any Crew) async throws {
        let speaks = crew.rank == 0
        let output = output ?? ""
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
        ).divided
        let photos = try PhotoFolder.open(source.path, source.reading)
        for remark in photos.remarks where speaks { Terminal.say("warning: left out \(remark)") }
        if speaks { Terminal.say("\(Self.count(photos)), \(photos.items.count) photos") }
        let model = try await backboneSettings.open(
            backbone, architecture: architecture, quiet: !speaks,
            progress: Progress.fetching(backbone))
        let cache = Cache().root
        var options = try settings.options()
        options.embedding = try likeness.settings(reading.task)
        let learned = reading.task == .detection ? .detection : photos.task
        let live = EpochTable(options.embedding == nil ? learned : .embedding)
        if findRate || settings.searchesRate {
            let search = try model.findRate(on: source, options: options, cacheFolder: cache) {
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
            on: source, options: options, recipe: settings.headFirst ? .headFirst : .plain,
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
        if let measure = result.metrics.measure {
            switch result.metrics.task {
            case .classification:
                Terminal.say(
                    Report.matrix(
                        result.metrics.confusion, result.classes,
                        columns: Terminal.isInteractive ? Terminal.width : nil))
            case .multiLabel: result.metrics.labels.map { Terminal.say(Report.labels($0)) }
            case .regression: result.metrics.values.map { Terminal.say(Report.values($0)) }
            case .detection: result.metrics.boxes.map { Terminal.say(Report.boxes($0)) }
            case .embedding: result.metrics.retrieval.map { Terminal.say(Report.retrieval($0)) }
            }
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
                "validation \(result.metrics.task.measure) \(decimals(measure, 4)) "
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

    private static func count(_ photos: PhotoFolder) -> String {
        let kind =
            switch photos.task {
            case .classification, .embedding: "classes"
            case .multiLabel, .detection: "labels"
            case .regression: photos.classes.count == 1 ? "number" : "numbers"
            }
        return "\(photos.classes.count) \(kind)"
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

// `graft train`: a new head on a published backbone, from a folder of photos.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftCache
import GraftNetworks
import GraftTensors
import GraftTraining

struct TrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a classifier on a folder with one folder of photos per class.",
        discussion: "Example: graft train photos --backbone timm/tf_efficientnet_lite0 -o run")

    @Argument(help: "A folder with one folder of photos per class, or a CSV table.")
    var data: String
    @Option(help: "The network to build on: a native model, a reference or a weight file.")
    var backbone: String
    @Option(name: .shortAndLong, help: "The folder of the run; made if it is not there.")
    var output: String
    @Option(help: "A folder of validation photos; without it a part of DATA is kept back.")
    var validation: String?
    @OptionGroup var settings: TrainSettings
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @Flag(help: "Go on from the checkpoint in the run's folder.") var resume = false
    @Flag(help: "Replace what an earlier run left in the folder.") var overwrite = false
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let model: String
        let metrics: TrainingMetrics
    }

    func run() async throws {
        let path = output + "/model.safetensors"
        guard overwrite || resume || !FileManager.default.fileExists(atPath: path) else {
            throw ModelError.unusable(
                output, reason: "holds a finished run already",
                hint: "name another folder with -o, or add `--overwrite`")
        }
        // A folder that holds no classes is found out before anything is fetched.
        let photos = try PhotoFolder.open(data)
        Terminal.say("\(photos.classes.count) classes, \(photos.items.count) photos")
        let model = try await Models.open(
            backbone, architecture: architecture, progress: Progress.fetching(backbone))
        let (_, result) = try model.train(
            on: data, validation: validation, options: try settings.options(), runFolder: output,
            cacheFolder: Cache().root, resume: resume,
            command: CommandLine.arguments.map(shellQuoted).joined(separator: " ")
        ) { TrainCommand.show($0) }
        let skipped = result.metrics.skippedPhotos
        if skipped > 0 {
            Terminal.say(
                "warning: \(skipped) \(skipped == 1 ? "photo" : "photos") skipped: not readable")
        }
        if json {
            Terminal.answer(try JSON.line(Answer(model: path, metrics: result.metrics)))
            return
        }
        if let accuracy = result.metrics.accuracy {
            Terminal.say(Report.matrix(result.metrics.confusion, result.classes))
            Terminal.say(
                "validation accuracy \(decimals(accuracy, 4)) after epoch \(result.metrics.bestEpoch)"
            )
        }
        Terminal.answer(path)
    }

    private static func show(_ event: TrainingEvent) {
        switch event {
        case .started(let cut, let trainable, let parameters):
            Terminal.say(
                "\(grouped(trainable)) of \(grouped(parameters)) parameters learn, after layer `\(cut)`"
            )
        case .skipped(let path, let reason): Terminal.say("warning: skipped \(path): \(reason)")
        case .duplicate(let path, let twin):
            Terminal.say("warning: validation photo \(path) is the same as \(twin)")
        case .features(let done, let total, let reused):
            Terminal.redraw(
                Terminal.bar(
                    "features", done: done, of: total, detail: "\(done) of \(total), \(reused) kept"
                ))
            if done == total {
                Terminal.redraw("")
                Terminal.say("features of \(total) photos, \(reused) of them from the cache")
            }
        case .resumed(let epoch): Terminal.say("going on after epoch \(epoch)")
        case .epoch(let record, let isBest):
            var line =
                record.penalty.map { "penalty \(decimals($0, 6))" } ?? "epoch \(record.epoch)"
            line +=
                "  loss \(decimals(record.trainingLoss, 4))  "
                + "accuracy \(decimals(record.trainingAccuracy, 4))"
            if let loss = record.validationLoss, let accuracy = record.validationAccuracy {
                line +=
                    "  validation loss \(decimals(loss, 4))  accuracy \(decimals(accuracy, 4))"
            }
            Terminal.say(line + (isBest ? "  best" : ""))
        case .stoppedEarly(let epoch, let best):
            Terminal.say("stopped after epoch \(epoch): epoch \(best) was the best")
        }
    }
}

/// An argument as a shell reads it back.
private func shellQuoted(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || "-_./:=@,+".utf8.contains(byte)
    }
    guard !plain || text.isEmpty else { return text }
    return "'"
        + text.split(separator: "'", omittingEmptySubsequences: false)
        .joined(separator: "'\\''") + "'"
}

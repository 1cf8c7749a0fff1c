// `graft runs`: the runs below a folder, and what is different about them.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftTensors
import GraftTraining

struct RunsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "runs", abstract: "List runs and compare them.",
        subcommands: [List.self, Compare.self])

    /// A run that is over: its folder, what it was told and how well it did.
    struct Run {
        let folder: String
        let description: RunDescription
        let metrics: TrainingMetrics

        init?(_ folder: String) {
            func read<T: Decodable>(_: T.Type, _ name: String) -> T? {
                guard let data = FileManager.default.contents(atPath: folder + "/" + name)
                else { return nil }
                return try? JSONDecoder().decode(T.self, from: data)
            }
            guard let description = read(RunDescription.self, "run.json"),
                let metrics = read(TrainingMetrics.self, "metrics.json")
            else { return nil }
            (self.folder, self.description, self.metrics) = (folder, description, metrics)
        }

        var head: String {
            switch description.options.head {
            case .linear: "linear"
            case .logistic: "logistic"
            case .perceptron(let hidden): "mlp \(hidden)"
            case .neighbours: "knn"
            }
        }

        var mode: String {
            switch description.options.mode {
            case .features: "features"
            case .finetune(let count):
                "finetune " + (description.options.unfreezeFrom ?? count.map { "\($0)" } ?? "all")
            }
        }

        /// Whether the run came to its end.
        var ending: String {
            metrics.failure.map { $0.divergence == nil ? "failed" : "diverged" } ?? "finished"
        }

        /// What tells runs apart, by name.
        var facts: [(String, String)] {
            let options = description.options
            func number(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "–" }
            return [
                ("task", metrics.task.rawValue), (metrics.task.measure, number(metrics.measure)),
                ("macro F1", number(metrics.macroF1)),
                ("ROC-AUC", number(metrics.scores?.macroROCAUC)),
                ("calibration error", number(metrics.scores?.calibrationError)),
                ("loss", number(metrics.loss)),
                ("ended", ending),
                ("best epoch", "\(metrics.bestEpoch) of \(metrics.epochs)"),
                ("photos", "\(metrics.trainingPhotos) + \(metrics.validationPhotos)"),
                ("architecture", description.architecture), ("mode", mode), ("head", head),
                ("optimizer", "\(options.optimizer.rule) (\(options.optimizer.dialect))"),
                ("learning rate", "\(options.learningRate)"), ("schedule", "\(options.schedule)"),
                ("batch", "\(options.batchSize * options.accumulate)"),
                ("label smoothing", "\(options.labelSmoothing)"),
                ("dropout", "\(options.dropout)"), ("balance", "\(options.balance)"),
                ("seed", "\(options.seed)"),
            ]
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List the runs in a folder, the best first.",
            discussion: "Example: graft runs ls runs")
        @Argument(help: "A folder of run folders.") var folder = "."
        @Flag(help: "Print one JSON object.") var json = false

        struct Line: Encodable {
            let run: String
            let architecture: String
            let accuracy: Double?
            let macroF1: Double?
            let loss: Double?
            let seed: UInt64
            let failure: RunFailure?
        }

        func run() throws {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            let runs = ([folder] + names.sorted().map { folder + "/" + $0 }).compactMap(Run.init)
                .sorted { first, second in
                    let (a, b) = (first.metrics.failure == nil, second.metrics.failure == nil)
                    return a != b
                        ? a : (first.metrics.measure ?? 0) > (second.metrics.measure ?? 0)
                }
            if json {
                let lines = runs.map {
                    Line(
                        run: $0.folder, architecture: $0.description.architecture,
                        accuracy: $0.metrics.accuracy, macroF1: $0.metrics.macroF1,
                        loss: $0.metrics.loss, seed: $0.description.options.seed,
                        failure: $0.metrics.failure)
                }
                Terminal.answer(try JSON.line(["runs": lines]))
                return
            }
            guard !runs.isEmpty else {
                Terminal.say("no finished runs in \(folder)")
                return
            }
            var table = Table(
                ["run", "score", "macro F1", "ended", "architecture", "mode", "head", "photos"],
                numeric: [1, 2, 7])
            for run in runs {
                table.add([
                    run.folder, run.metrics.measure.map { decimals($0, 4) } ?? "–",
                    run.metrics.macroF1.map { decimals($0, 4) } ?? "–", run.ending,
                    run.description.architecture, run.mode, run.head,
                    "\(run.metrics.trainingPhotos)",
                ])
            }
            Terminal.answer(table.text)
        }
    }

    struct Compare: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compare", abstract: "Show results and what differs between runs.",
            discussion: "Example: graft runs compare runs/a runs/b")
        @Argument(help: "Run folders.") var folders: [String]

        func run() throws {
            let runs = try folders.map { folder in
                guard let run = Run(folder) else {
                    throw ModelError.unusable(
                        folder, reason: "holds no finished run",
                        hint: "name the folder that `graft train -o` wrote")
                }
                return run
            }
            var table = Table([""] + folders, numeric: Set(1...max(folders.count, 1)))
            let facts = runs.map(\.facts)
            for (row, fact) in (facts.first ?? []).enumerated() {
                let values = facts.map { $0[row].1 }
                // Results always, settings where they differ.
                guard row < 9 || Set(values).count > 1 else { continue }
                table.add([fact.0] + values)
            }
            Terminal.answer(table.text)
        }
    }
}

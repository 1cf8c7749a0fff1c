// `graft runs`: the runs below a folder, and what is different about them.

import ArgumentParser
import FoundationEssentials
import Glibc
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

        /// Whether the run came to its end.
        var ending: String {
            metrics.failure.map { $0.divergence == nil ? "failed" : "diverged" } ?? "finished"
        }

        /// Its results, then its settings, by name.
        var facts: (results: [(String, String)], settings: [(String, String)]) {
            func number(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "–" }
            return (
                [
                    ("task", metrics.task.rawValue),
                    (metrics.task.measure, number(metrics.measure)),
                    ("macro F1", number(metrics.macroF1)),
                    ("ROC-AUC", number(metrics.scores?.macroROCAUC)),
                    ("calibration error", number(metrics.scores?.calibrationError)),
                    ("loss", number(metrics.loss)), ("ended", ending),
                    ("best epoch", "\(metrics.bestEpoch) of \(metrics.epochs)"),
                    ("photos", "\(metrics.trainingPhotos) + \(metrics.validationPhotos)"),
                ], description.settings.map { ($0.name, $0.value) }
            )
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
            guard PhotoFolder.isFolder(folder) else {
                throw FileError("list", folder, code: access(folder, F_OK) == 0 ? ENOTDIR : ENOENT)
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
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
            // A narrow terminal gets what tells runs apart.
            let isWide = (Terminal.answerWidth ?? 1000) >= 100
            var headings = ["run", "score", "ended", "architecture", "mode", "head"]
            if isWide { headings += ["macro F1", "photos"] }
            var table = Table(headings, numeric: [1, 6, 7])
            func number(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "–" }
            for run in runs {
                var row = [name(run.folder), number(run.metrics.measure), run.ending]
                let network = run.description.architecture
                let short = network.split(separator: "/").last.map(String.init) ?? network
                row += [isWide ? network : short, run.description.mode, run.description.head]
                if isWide { row += [number(run.metrics.macroF1), "\(run.metrics.trainingPhotos)"] }
                table.add(row)
            }
            Terminal.answer(table.text(fitting: Terminal.answerWidth))
        }

        /// A run by its name in the folder.
        private func name(_ path: String) -> String {
            path == folder ? folder : String(path.dropFirst(folder.count + 1))
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
            // Their last names are enough where these differ.
            let short = folders.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
            let names = Set(short).count == short.count ? short : folders
            var table = Table([""] + names, numeric: Set(1...max(folders.count, 1)))
            let facts = runs.map(\.facts)
            // On a terminal long words are cut rather than wrapped.
            let room = Terminal.answerWidth.map { max(($0 - 24) / folders.count - 2, 12) } ?? .max
            for (row, fact) in (facts.first?.results ?? []).enumerated() {
                let values = facts.map { $0.results[row].1 }
                // Runs are of one task as a rule.
                guard fact.0 != "task" || Set(values).count > 1 else { continue }
                table.add([fact.0] + values)
            }
            for (row, fact) in (facts.first?.settings ?? []).enumerated() {
                let values = facts.map { $0.settings[row].1 }
                // A dash is no other setting, it is none.
                guard Set(values.filter { $0 != "–" }).count > 1 else { continue }
                table.add(
                    [fact.0] + values.map { $0.count > room ? $0.prefix(room - 1) + "…" : $0 })
            }
            Terminal.answer(table.text)
        }
    }
}

// A run of several stages whose first one failed: its folder tells of it as that stage's does.

import FoundationEssentials

/// The folder of a run that has stages, each with a folder of its own below it.
package enum RunFolder {
    /// The files by which a run tells how it went.
    private static let told = ["report.html", "run.json", "split.json", "log.csv"]

    /// Puts what the failed `stage` left where the whole run's is looked for, and says in
    /// `metrics.json` which stage it was. What goes wrong here is less than what has gone wrong already.
    package static func adoptFailure(
        of stage: String, in folder: String, report: (TrainingEvent) -> Void
    ) {
        do {
            let own = "\(folder)/\(stage)"
            let data = try Data(contentsOf: URL(filePath: own + "/metrics.json"))
            var metrics = try JSONDecoder().decode(TrainingMetrics.self, from: data)
            guard let failure = metrics.failure else { return }
            metrics.failure?.message = "stage `\(stage)`: \(failure.message)"
            for name in told {
                guard let bytes = try? Data(contentsOf: URL(filePath: "\(own)/\(name)")) else {
                    continue
                }
                try bytes.withUnsafeBytes { try RunFiles.write([$0], to: "\(folder)/\(name)") }
            }
            try RunFiles.write(
                try RunFiles.json(metrics, pretty: true) + "\n", to: folder + "/metrics.json")
        } catch {
            report(.unrecorded("\(error)"))
        }
    }
}

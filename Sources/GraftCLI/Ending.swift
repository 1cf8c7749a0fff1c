// How a run of several processes ends when one of them does: all end, and one says why.

import Glibc
import Graft
import GraftTensors
import GraftTraining

/// Explains the end of a job: an error of this process, or that another one has ended, which
/// `mpirun`, Slurm and Kubernetes tell with SIGTERM.
final class Ending {
    private let crew: MPICrew
    private let checkpoint: String
    private let told: EndedRun

    init(_ crew: MPICrew, checkpoint: String) {
        self.crew = crew
        self.checkpoint = checkpoint
        // One speaks; if that is the one that has ended, the next. mpirun still has to read what was said: it
        // drops what it has not when all have ended.
        let reason =
            "error: process \(crew.rank) of \(crew.count) was told to end: another process has ended, or the job was cancelled"
        told = EndedRun(
            crew.rank < 2 ? reason : nil, checkpoint: checkpoint, on: [SIGTERM], status: 1,
            pause: 300_000)
    }

    /// Says what went wrong here, and ends all processes.
    func explain(_ error: any Error) -> Never {
        if let error = error as? TrainingError, error.isCommon {
            // All meet it at the same place: one says it, and none has to be torn away.
            cancel()
            if crew.rank == 0 { Terminal.report(error) }
            crew.leave()
            exit(1)
        }
        if let diagnostic = error as? any Diagnostic {
            Terminal.report(diagnostic)
        } else {
            Terminal.say("error: \(error)")
        }
        Terminal.say("error: process \(crew.rank) of \(crew.count) ends, and the others with it")
        Terminal.say(EndedRun.hint(checkpoint))
        if crew.count > 1 { crew.abort() }
        exit(1)
    }

    /// The run is over.
    func cancel() { told.cancel() }
}

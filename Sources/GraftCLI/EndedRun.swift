// What a run says when a person ends it with ctrl-C, or a scheduler with SIGTERM.

import Dispatch
import Glibc

/// Names the checkpoint and ends the process as the signal would have.
final class EndedRun {
    private let sources: [any DispatchSourceSignal]

    init(checkpoint: String?) {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                Terminal.say("error: interrupted")
                if let checkpoint { Terminal.say(Self.hint(checkpoint)) }
                _exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    /// How to go on, whatever ended the run.
    static func hint(_ checkpoint: String) -> String {
        access(checkpoint, F_OK) == 0
            ? "hint: all finished epochs are in \(checkpoint): run the same command with --resume"
            : "hint: no epoch was finished yet: run the same command again"
    }

    /// The run is over.
    func cancel() {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
}

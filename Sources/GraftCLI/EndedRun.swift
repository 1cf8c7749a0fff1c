// What a run says when a person ends it with ctrl-C, or a scheduler or mpirun with SIGTERM.

import Glibc

/// Says why a run ends and how to go on, and ends the process. The signal's handler does all of it: while
/// a run computes, or waits for a process that is dead, no other thread may get its turn, and mpirun
/// gives it one second. There is one at a time.
final class EndedRun {
    private let signals: [Int32]

    /// - Parameters:
    ///   - reason: What to say; nil says nothing.
    ///   - checkpoint: The file that a run goes on from, if it writes one.
    ///   - signals: What ends the run.
    ///   - status: What the process exits with; nil for 128 and the signal, as shells have it.
    ///   - pause: How long to wait after it was said, in microseconds.
    init(
        _ reason: String?, checkpoint: String?, on signals: [Int32] = [SIGINT, SIGTERM],
        status: Int32? = nil, pause: UInt32 = 0
    ) {
        self.signals = signals
        func text(_ hint: String?) -> UnsafeMutablePointer<CChar>? {
            guard let reason else { return nil }
            let lines = [reason, hint].compactMap(\.self).map { Terminal.harmless($0) + "\n" }
            // Over the line of progress that may be there.
            return strdup((isatty(STDERR_FILENO) == 1 ? "\r\u{1B}[K" : "") + lines.joined())
        }
        let said = UnsafeMutablePointer<Farewell>.allocate(capacity: 1)
        let stage = checkpoint.map(Self.stage)
        said.initialize(
            to: Farewell(
                checkpoint: checkpoint.flatMap { strdup($0) }, stage: stage.flatMap { strdup($0) },
                begun: text(checkpoint.map { Self.hint($0, isThere: true) }),
                staged: text(stage.map { Self.hint($0, isThere: true) }),
                unbegun: text(checkpoint.map { Self.hint($0, isThere: false) }),
                status: status ?? -1, pause: pause))
        farewell = said
        for number in signals { signal(number, leave) }
    }

    /// How to go on, whatever ended the run.
    static func hint(_ checkpoint: String) -> String {
        let stage = stage(checkpoint)
        return access(checkpoint, F_OK) != 0 && access(stage, F_OK) == 0
            ? hint(stage, isThere: true) : hint(checkpoint, isThere: access(checkpoint, F_OK) == 0)
    }

    /// The checkpoint of the head's own run, with which `--recipe auto` begins.
    private static func stage(_ checkpoint: String) -> String {
        let folder = checkpoint.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return folder.joined(separator: "/") + "/head/checkpoint.safetensors"
    }

    private static func hint(_ checkpoint: String, isThere: Bool) -> String {
        isThere
            ? "hint: all finished epochs are in \(checkpoint): run the same command with --resume"
            : "hint: no epoch was finished yet: run the same command again"
    }

    /// The run is over.
    func cancel() {
        for number in signals { signal(number, SIG_DFL) }
        guard let said = farewell else { return }
        farewell = nil
        for text in [
            said.pointee.checkpoint, said.pointee.stage, said.pointee.begun, said.pointee.staged,
            said.pointee.unbegun,
        ] { free(text) }
        said.deallocate()
    }
}

/// What a handler may read: it may neither allocate nor take locks.
private struct Farewell {
    var checkpoint: UnsafeMutablePointer<CChar>?
    /// The checkpoint of a stage before.
    var stage: UnsafeMutablePointer<CChar>?
    /// The text where there is a checkpoint, where a stage before has one, and where there is none yet.
    var begun: UnsafeMutablePointer<CChar>?
    var staged: UnsafeMutablePointer<CChar>?
    var unbegun: UnsafeMutablePointer<CChar>?
    var status: Int32
    var pause: UInt32
}

private nonisolated(unsafe) var farewell: UnsafeMutablePointer<Farewell>?

/// The handler.
private func leave(_ number: Int32) {
    guard let said = farewell else { _exit(128 + number) }
    var text = said.pointee.unbegun
    if let checkpoint = said.pointee.checkpoint, access(checkpoint, F_OK) == 0 {
        text = said.pointee.begun
    } else if let stage = said.pointee.stage, access(stage, F_OK) == 0 {
        text = said.pointee.staged
    }
    if let text { _ = write(STDERR_FILENO, text, strlen(text)) }
    if said.pointee.pause > 0 { usleep(said.pointee.pause) }
    _exit(said.pointee.status < 0 ? 128 + number : said.pointee.status)
}

// Progress with the time left: a bar on a terminal, a line now and then elsewhere.

import Dispatch
import GraftCache
import GraftHub
import GraftTensors
import Synchronization

/// Makes the callbacks that draw progress.
enum Progress {
    /// A bar for a download; draws nothing where nobody watches.
    static func fetching(_ reference: String) -> @Sendable (Int64, Int64?) -> Void {
        let name = Secrets.masked(reference).pathLast
        let drawn = LastDrawn()
        return { done, total in
            guard Terminal.isInteractive else { return }
            let now = DispatchTime.now().uptimeNanoseconds
            let finished = total == done
            guard finished || now &- drawn.time.load(ordering: .relaxed) > 100_000_000 else {
                return
            }
            drawn.time.store(now, ordering: .relaxed)
            let size = total.map { " of " + readableBytes(Int($0)) } ?? ""
            Terminal.redraw(
                Terminal.bar(
                    name, done: Int(done), of: Int(total ?? 0),
                    detail: readableBytes(Int(done)) + size))
            if finished { Terminal.redraw("") }
        }
    }

    /// What draws the progress of a fetch: a bar, or objects for programs.
    static func fetching(quiet: Bool, json: Bool) -> @Sendable (FetchProgress) -> Void {
        let drawn = LastDrawn()
        let start = DispatchTime.now().uptimeNanoseconds
        return { progress in
            if json {
                if let line = try? JSON.line(progress) { Terminal.say(line) }
                return
            }
            guard Terminal.isInteractive, !quiet else { return }
            let now = DispatchTime.now().uptimeNanoseconds
            let isLast = progress.bytes == progress.totalBytes && progress.connections == 0
            guard isLast || now &- drawn.time.load(ordering: .relaxed) > 100_000_000 else { return }
            drawn.time.store(now, ordering: .relaxed)
            guard !isLast else { return Terminal.redraw("") }
            let seconds = Double(now &- start) / 1e9
            let rate =
                seconds > 1 ? ", \(readableBytes(Int(Double(progress.bytes) / seconds)))/s" : ""
            let size = progress.totalBytes.map { " of " + readableBytes($0) } ?? ""
            let files =
                progress.totalFiles > 1
                ? ", file \(progress.files + 1) of \(progress.totalFiles)" : ""
            Terminal.redraw(
                Terminal.bar(
                    String(progress.file.split(separator: "/").last ?? "download"),
                    done: progress.bytes, of: progress.totalBytes ?? 0,
                    detail: progress.waiting ?? readableBytes(progress.bytes) + size + files + rate)
            )
        }
    }

    /// When the bar was last drawn.
    private final class LastDrawn: Sendable {
        let time = Atomic<UInt64>(0)
    }
}

/// How far a job over many images is.
///
/// On a terminal it is a bar, drawn at most ten times a second; elsewhere a line after ten seconds and
/// then every thirty, so that logs stay short.
final class JobProgress: Sendable {
    private struct State {
        var begun: UInt64?
        var first = 0
        var drawn: UInt64 = 0
        var told: UInt64 = 0
    }

    private static let firstLine: UInt64 = 10_000_000_000
    private static let betweenLines: UInt64 = 30_000_000_000

    private let name: String
    private let unit: String
    private let state = Mutex(State())

    /// A job called by a verb in -ing, over things called `unit`.
    init(_ name: String, unit: String = "images") { (self.name, self.unit) = (name, unit) }

    /// Shows that `done` of `total` are done; `note` stands after the count.
    func show(_ done: Int, of total: Int?, note: String = "") {
        let now = DispatchTime.now().uptimeNanoseconds
        let isLast = done == total
        let (isDue, left): (Bool, Double?) = state.withLock { state in
            guard let begun = state.begun else {
                // What was there before the first look says nothing about speed.
                (state.begun, state.first, state.told) = (now, done, now)
                return (Terminal.isInteractive && !isLast, nil)
            }
            let left = total.flatMap {
                TimeLeft.seconds(
                    done: done - state.first, of: $0 - state.first,
                    elapsed: Double(now &- begun) / 1e9)
            }
            if Terminal.isInteractive {
                guard isLast || now &- state.drawn > 100_000_000 else { return (false, nil) }
                state.drawn = now
                return (true, left)
            }
            let wait = state.told == begun ? Self.firstLine : Self.betweenLines
            guard !isLast, now &- state.told > wait else { return (false, nil) }
            state.told = now
            return (true, left)
        }
        guard isDue else { return }
        let count =
            total.map { "\(grouped(done)) of \(grouped($0)) \(unit)" } ?? "\(grouped(done)) \(unit)"
        let detail = [count, note, left.map { TimeLeft.text($0) } ?? ""].filter { !$0.isEmpty }
            .joined(separator: ", ")
        guard Terminal.isInteractive else { return Terminal.say("\(name): \(detail)") }
        if isLast { return Terminal.redraw("") }
        Terminal.redraw(
            total == nil
                ? "\(name)  \(detail)"
                : Terminal.bar(name, done: done, of: total ?? 0, detail: detail))
    }

    /// Clears the bar.
    func end() { Terminal.redraw("") }
}

/// How long a job still takes, if it goes on as it went so far.
enum TimeLeft {
    /// The seconds left; nil while too little is done to tell.
    static func seconds(done: Int, of total: Int, elapsed: Double) -> Double? {
        guard done > 0, total >= done, elapsed > 0.5 else { return nil }
        return elapsed / Double(done) * Double(total - done)
    }

    /// `40 s left`, `3 min left`, `1 h 20 min left`.
    static func text(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 8_640_000 else { return "days left" }
        let whole = max(1, Int(seconds.rounded()))
        if whole < 90 { return "\(whole) s left" }
        let minutes = (whole + 30) / 60
        if minutes < 90 { return "\(minutes) min left" }
        return "\(minutes / 60) h \(minutes % 60) min left"
    }
}

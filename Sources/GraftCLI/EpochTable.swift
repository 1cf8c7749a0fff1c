// A run as it goes on: one line an epoch, columns aligned, and on a terminal the curves so far.

import Dispatch
import Graft
import GraftTensors
import GraftTraining
import Synchronization

/// Draws what a run reports.
final class EpochTable: Sendable {
    private struct State {
        var losses: [Double] = []
        var measures: [Double] = []
        var hasHead = false
        var hasData = false
        /// When the first step was done, and how many steps there were before.
        var begun: UInt64?
        var before = 0
        var drawn: UInt64 = 0
        var left = ""
    }

    private static let betweenLines: UInt64 = 30_000_000_000

    private let task: LearningTask
    private let reading = JobProgress("reading")
    private let state = Mutex(State())
    /// How the validation images were chosen, in words.
    private let split: String

    init(_ task: LearningTask, split: String) { (self.task, self.split) = (task, split) }

    func show(_ event: TrainingEvent) {
        switch event {
        case .data(let data):
            // A run of two stages has one set of images.
            let isNew = state.withLock { state in
                defer { state.hasData = true }
                return !state.hasData
            }
            if isNew { Terminal.say(DataTable.text(data, task, split: split)) }
        case .step(let done, let total, let epoch, let epochs):
            step(done: (epoch - 1) * total + done, of: epochs * total, epoch: epoch, epochs: epochs)
        case .started(let cut, let trainable, let parameters):
            state.withLock { $0 = State(hasData: $0.hasData) }
            guard trainable > 0 else {
                Terminal.say("nothing learns: photos are compared after layer `\(cut)`")
                break
            }
            Terminal.say(
                "\(grouped(trainable)) of \(grouped(parameters)) parameters learn, after layer `\(cut)`"
            )
        case .skipped(let path, let reason): Terminal.say("warning: skipped \(path): \(reason)")
        case .duplicate(let path, let twin):
            Terminal.say("warning: validation photo \(path) is the same as \(twin)")
        case .features(let done, let total, let reused):
            reading.show(
                done, of: total, note: reused > 0 ? "\(grouped(reused)) from the cache" : "")
            if done == total {
                Terminal.say("features of \(total) photos, \(reused) of them from the cache")
            }
        case .resumed(let epoch): Terminal.say("going on after epoch \(epoch)")
        case .epoch(let record, let isBest): epoch(record, isBest)
        case .stoppedEarly(let epoch, let best):
            Terminal.redraw("")
            Terminal.say("stopped after epoch \(epoch): epoch \(best) was the best")
        case .uncalibrated(let reason):
            Terminal.redraw("")
            Terminal.say("warning: the head is not calibrated: \(reason)")
        case .unrecorded(let reason):
            Terminal.say("warning: the run's folder does not say that it failed: \(reason)")
        }
    }

    /// Leaves the curves standing where a person watches.
    func close() {
        let (losses, measures) = state.withLock { ($0.losses, $0.measures) }
        guard Terminal.isInteractive, losses.count > 1 else { return }
        Terminal.say("loss \(Sparkline.text(losses))  \(task.measure) \(Sparkline.text(measures))")
    }

    private func epoch(_ record: EpochRecord, _ isBest: Bool) {
        let (isFirst, curves) = state.withLock { state in
            let isFirst = !state.hasHead
            state.hasHead = true
            state.losses.append(record.validationLoss ?? record.trainingLoss)
            state.measures.append(
                record.validationAccuracy ?? record.trainingAccuracy ?? .nan)
            return (isFirst, (state.losses, state.measures))
        }
        func cell(_ value: Double?) -> String {
            let text = value.map { decimals($0, 4) } ?? "–"
            return String(repeating: " ", count: max(0, 14 - text.count)) + text
        }
        let kind =
            record.penalty != nil
            ? "penalty" : (record.neighbours != nil ? "neighbours" : "epoch")
        if isFirst {
            let names = ["loss", task.measure, "val loss", "val " + task.measure]
            let head = names.map { String(repeating: " ", count: max(0, 14 - $0.count)) + $0 }
            Terminal.redraw("")
            Terminal.say(padded(kind, 10) + head.joined())
        }
        let name =
            record.penalty.map { decimals($0, 6) } ?? record.neighbours.map { "\($0)" }
            ?? "\(record.epoch)"
        let line =
            padded(name, 10) + cell(record.isLearned ? record.trainingLoss : nil)
            + cell(record.isLearned ? record.trainingAccuracy : nil)
            + cell(record.validationLoss) + cell(record.validationAccuracy)
        Terminal.redraw("")
        Terminal.say(line + (isBest ? "  best" : ""))
        Terminal.redraw(status(curves))
    }

    /// The line below the table: the epoch, the time left, and the curves so far.
    private func status(_ curves: ([Double], [Double])) -> String {
        let left = state.withLock { $0.left }
        let words = left.isEmpty ? "" : "\(left)  "
        guard !curves.0.isEmpty else { return words }
        return words + "loss \(Sparkline.text(curves.0, cells: 15))  "
            + "\(task.measure) \(Sparkline.text(curves.1, cells: 15))"
    }

    /// Shows the time left, as if every epoch ran: the run may stop earlier.
    private func step(done: Int, of total: Int, epoch: Int, epochs: Int) {
        let now = DispatchTime.now().uptimeNanoseconds
        let curves: ([Double], [Double])? = state.withLock { state in
            guard let begun = state.begun else {
                (state.begun, state.before, state.drawn) = (now, done, now)
                return nil
            }
            let wait = Terminal.isInteractive ? 200_000_000 : Self.betweenLines
            guard now &- state.drawn > wait else { return nil }
            state.drawn = now
            let seconds = TimeLeft.seconds(
                done: done - state.before, of: total - state.before,
                elapsed: Double(now &- begun) / 1e9)
            state.left =
                "epoch \(epoch) of \(epochs)"
                + (seconds.map { ", at most " + TimeLeft.text($0) } ?? "")
            return (state.losses, state.measures)
        }
        guard let curves else { return }
        if Terminal.isInteractive {
            Terminal.redraw(status(curves))
        } else {
            Terminal.say("training: " + state.withLock { $0.left })
        }
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}

/// Numbers as a row of eighths of a block.
enum Sparkline {
    /// All of the values, as many of them left out between as have no room.
    static func text(thinned values: [Double], cells: Int = 60) -> String {
        guard values.count > cells else { return text(values, cells: cells) }
        return text(
            (0..<cells).map { values[$0 * (values.count - 1) / (cells - 1)] }, cells: cells)
    }

    static func text(_ values: [Double], cells: Int = 30) -> String {
        let shown = values.suffix(cells)
        let finite = shown.filter(\.isFinite)
        guard let low = finite.min(), let high = finite.max() else { return "" }
        let blocks = Array("▁▂▃▄▅▆▇█")
        return String(
            shown.map { value in
                guard value.isFinite else { return " " }
                let share = high > low ? (value - low) / (high - low) : 0
                return blocks[min(Int(share * 8), 7)]
            })
    }
}

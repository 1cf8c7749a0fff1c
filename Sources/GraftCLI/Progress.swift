// Progress of downloads, drawn on a terminal at most ten times a second.

import Dispatch
import GraftHub
import Synchronization

/// Makes the callbacks that draw progress.
enum Progress {
    /// A bar for a download; draws nothing where nobody watches.
    static func fetching(_ reference: String) -> @Sendable (Int64, Int64?) -> Void {
        let name = String(reference.split(separator: "/").last ?? "download")
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

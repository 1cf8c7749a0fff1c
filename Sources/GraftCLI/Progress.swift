// Progress of downloads, drawn on a terminal at most ten times a second.

import Dispatch
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

    /// When the bar was last drawn.
    private final class LastDrawn: Sendable {
        let time = Atomic<UInt64>(0)
    }
}

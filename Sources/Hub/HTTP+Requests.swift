// Redirects followed by hand, refusals explained, and what may pass tried again.

import GraftCache
import GraftSystem
import Synchronization

extension HTTP {
    /// GETs `start`, following redirects; `accept` sees the body of a good answer only.
    ///
    /// `credentials` go to their origins and to nobody else.
    func get(
        _ start: Location, headers: [String] = [], credentials: Credentials? = nil,
        _ accept: (Head, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Head {
        var location = start
        var redirects = Redirects(start)
        while true {
            var all = headers + ["Accept-Encoding: identity"]
            if let header = credentials?.header(for: location) { all.append(header) }
            var detail: [UInt8] = []
            let head = try exchange(location, headers: all, decodes: true) { head, bytes in
                if (200..<300).contains(head.status) {
                    try accept(head, bytes)
                } else if detail.count < 4096 {
                    detail += bytes.prefix(4096 - detail.count)
                }
            }
            if (300..<400).contains(head.status), let target = head.fields["location"] {
                location = try redirects.next(target, of: location, self)
                continue
            }
            if (200..<300).contains(head.status) || head.status == 416 { return head }
            throw refusal(location, head, detail, credentials: credentials)
        }
    }

    /// A whole small answer.
    func text(
        _ start: Location, headers: [String] = [], credentials: Credentials? = nil,
        limit: Int = 64 << 20
    ) throws -> (Head, [UInt8]) {
        try retrying {
            var body: [UInt8] = []
            let head = try get(start, headers: headers, credentials: credentials) { _, bytes in
                guard body.count + bytes.count <= limit else {
                    throw HubError.longAnswer(url: start.shown, limit: limit)
                }
                body += bytes
            }
            return (head, body)
        }
    }

    /// A mirror's answers may name the hub that it mirrors: the mirror is asked instead.
    func rewritten(_ location: Location) -> Location {
        HubHosts.mirrored(location, at: endpoint)
    }

    /// Tries again what may pass, waiting twice as long each time; progress starts the count anew.
    func retrying<Result>(
        attempts: Int = 5, progress: () -> Int = { 0 }, _ body: () throws -> Result
    ) throws -> Result {
        var failed = 0
        var reached = progress()
        var waited = 0.0
        while true {
            do {
                return try body()
            } catch let error as TransientError {
                if progress() > reached {
                    reached = progress()
                    failed = 0
                }
                failed += 1
                guard failed < attempts else { throw error.reason }
                let wait = error.retryAfter ?? RetryAfter.backOff(failed)
                // Nobody looks at a program for longer without thinking that it hangs.
                guard waited + wait <= RetryAfter.longest else {
                    throw error.tooLong(waited: waited)
                }
                waited += wait
                if let why = error.waiting(wait) { Notices.say(why) }
                try sleep(seconds: wait)
            }
        }
    }

    private func sleep(seconds: Double) throws {
        let end = Clock.monotonicSeconds + seconds
        while true {
            if cancellation.isCancelled.load(ordering: .relaxed) { throw CancellationError() }
            let rest = end - Clock.monotonicSeconds
            guard rest > 0 else { return }
            CurrentProcess.pause(seconds: min(rest, 0.1))
        }
    }
}

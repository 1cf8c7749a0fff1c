// Redirects followed by hand, refusals explained, and what may pass tried again.

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension HTTP {
    /// GETs `start`, following redirects; `accept` sees the body of a good answer only.
    ///
    /// `authorization` goes to the origin of `start` and to nobody else.
    func get(
        _ start: Location, headers: [String] = [], authorization: String? = nil,
        _ accept: (Head, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Head {
        var location = start
        for _ in 0...20 {
            var all = headers + ["Accept-Encoding: identity"]
            if let authorization, location.origin == start.origin {
                all.append("Authorization: " + authorization)
            }
            var detail: [UInt8] = []
            let head = try exchange(location, headers: all) { head, bytes in
                if (200..<300).contains(head.status) {
                    try accept(head, bytes)
                } else if detail.count < 4096 {
                    detail += bytes.prefix(4096 - detail.count)
                }
            }
            if (300..<400).contains(head.status), let target = head.fields["location"] {
                let next = try Location(target, relativeTo: location)
                guard location.scheme == next.scheme || next.scheme == "https" else {
                    throw HubError("`\(location.text)` redirects from https to http: refused")
                }
                location = next
                continue
            }
            if (200..<300).contains(head.status) || head.status == 416 { return head }
            throw refusal(location, head)
        }
        throw HubError("`\(start.text)` redirects more than 20 times")
    }

    /// A whole small answer.
    func text(_ start: Location, headers: [String], limit: Int = 64 << 20) throws -> (Head, [UInt8])
    {
        try retrying {
            var body: [UInt8] = []
            let head = try get(start, headers: headers) { _, bytes in
                guard body.count + bytes.count <= limit else {
                    throw HubError("the answer of `\(start.text)` is longer than \(limit) bytes")
                }
                body += bytes
            }
            return (head, body)
        }
    }

    func refusal(_ location: Location, _ head: Head) -> any Error {
        let hint: String? =
            switch head.status {
            case 401, 403: "it wants credentials, or you may not read it"
            case 404, 410: "check the name: nothing is published there"
            case 429: "too many requests; wait a little"
            default: nil
            }
        let reason = HubError(
            "`\(location.text)` was refused: expected HTTP status `200`, found `\(head.status)`",
            hint: hint)
        guard [408, 425, 429, 500, 502, 503, 504].contains(head.status) else { return reason }
        return TransientError(
            reason: reason, retryAfter: head.fields["retry-after"].flatMap { Int($0) })
    }

    /// Tries again what may pass, waiting twice as long each time; progress starts the count anew.
    func retrying<Result>(
        attempts: Int = 5, progress: () -> Int = { 0 }, _ body: () throws -> Result
    ) throws -> Result {
        var failed = 0
        var reached = progress()
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
                let wait = error.retryAfter.map { min(max($0, 0), 60) * 1000 } ?? (100 << failed)
                try sleep(milliseconds: wait)
            }
        }
    }

    private func sleep(milliseconds: Int) throws {
        var rest = milliseconds
        while rest > 0 {
            if cancellation.isCancelled.load(ordering: .relaxed) { throw CancellationError() }
            usleep(UInt32(min(rest, 100) * 1000))
            rest -= 100
        }
    }
}

// How a connection ends and what follows: a redirect, another attempt, another source, or the proof.

import CCurl
import GraftCache
import GraftSystem
import GraftTensors

extension Transfer {
    /// What follows when a connection ended.
    enum Consequence {
        /// It asks another place.
        case follow
        /// It is over; the rest goes on.
        case over
    }

    /// Judges an ended request. Throws what ends the whole transfer.
    func ended(_ connection: Connection, _ code: CURLcode) throws -> Consequence {
        let now = queue.now
        connection.show(now: now)
        do {
            if try settle(connection, code) { return .follow }
            failures = 0
            return .over
        } catch let error as TransientError where error.isStale {
            // The next one asks for a new address. When that is refused too, it counts.
            return .over
        } catch let error as TransientError {
            let others = connections.count { $0 !== connection && $0.hasBegun }
            let isBusy = [0, 429, 503].contains(connection.head.status)
            if others > 0, !connection.hasBegun, isBusy {
                // It answers the others: it only does not want so many.
                pace.refuse(open: others)
                if let wait = error.retryAfter { sources[connection.source].notBefore = now + wait }
                return .over
            }
            let wait = error.retryAfter ?? 0
            if sources[connection.source].waited + wait > RetryAfter.longest {
                try giveUp(
                    connection.source,
                    error.tooLong(waited: sources[connection.source].waited))
                return .over
            }
            sources[connection.source].waited += wait
            failures = extents.byteCount > bytesAtFailure ? 1 : failures + 1
            // Nothing would tell whether the next bytes are of the same file.
            if order.digest == nil, sources[connection.source].etag == nil { forget() }
            bytesAtFailure = extents.byteCount
            // Who resolved an address once may have to do it again: signed ones expire.
            if !connection.hasBegun { sources[connection.source].resolved = nil }
            if failures >= options.attempts {
                try giveUp(connection.source, error.reason)
                failures = 0
            }
            if let wait = error.retryAfter {
                sources[connection.source].notBefore = now + wait
                queue.note("\(connection.location.host) asks to wait \(Int(wait.rounded(.up))) s")
                if let why = error.waiting(wait) { Notices.say(why) }
            } else {
                notBefore = now + RetryAfter.backOff(failures)
            }
        } catch let error as HubError {
            try giveUp(connection.source, error)
        }
        return .over
    }

    /// The transfer goes on without a source, or fails with what its first one said.
    private func giveUp(_ source: Int, _ error: any Error) throws {
        sources[source].failure = error
        for other in connections where other.source == source { other.giveUpRest() }
        if isOutOfSources { throw sources[0].failure ?? error }
    }

    /// Whether a redirect is to be followed; throws what went wrong.
    private func settle(_ connection: Connection, _ code: CURLcode) throws -> Bool {
        if let failure = connection.failure { throw failure }
        if connection.isSatisfied { return false }
        let status = connection.head.status
        let source = connection.source
        guard code == CURLE_OK || (200..<300).contains(status) else {
            throw HTTP.failure(code, connection.location)
        }
        if (300..<400).contains(status), let target = connection.head.fields["location"] {
            try connection.follow(target, queue.http)
            return true
        }
        if (200..<300).contains(status) {
            // An empty file has no bytes to begin with.
            if !connection.hasBegun, code == CURLE_OK { try begin(connection) }
            if connection.isSatisfied { return false }
            if connection.cursor >= connection.claim.upperBound { return false }
            if connection.claim.upperBound == .max, code == CURLE_OK {
                byteCount = connection.cursor
                return false
            }
            if code != CURLE_OK, !connection.hasBegun {
                throw HTTP.failure(code, connection.location)
            }
            throw TransientError(
                reason: .endedEarly(
                    url: connection.location.shown, expected: connection.claim.upperBound,
                    found: connection.cursor))
        }
        if [400, 413, 416].contains(status), connection.range == nil, !asksForParts, !isCoded {
            // Stores refuse to send large files whole.
            asksForParts = true
            throw TransientError(
                reason: .notSentWhole(url: connection.location.shown), isStale: true)
        }
        if status == 416 {
            let total = connection.head.fields["content-range"]?.split(separator: "/").last
                .flatMap { ByteCount.parsed($0) }
            if byteCount == nil, total == connection.cursor, connection.cursor > 0 {
                byteCount = total
                return false
            }
            forget()
            byteCount = order.byteCount
            isStream = true
            throw TransientError(
                reason: .noBytesAfter(url: connection.location.shown, connection.cursor))
        }
        let start = sources[source].source.location
        if [401, 403, 404, 410].contains(status), connection.location.text != start.text,
            sources[source].resolved != nil || hasBegun
        {
            // A signed address that expired: the one that it came from gives a new one.
            if sources[source].resolved?.text == connection.location.text {
                sources[source].resolved = nil
            }
            throw TransientError(
                reason: .expiredAddress(url: connection.location.shown, status: status),
                isStale: connection.hops == 0)
        }
        throw queue.http.refusal(
            connection.location, connection.head, connection.detail,
            credentials: sources[source].source.credentials)
    }

    /// Whether every byte is on the disk.
    var isComplete: Bool {
        guard let byteCount else { return false }
        return (hasBegun || byteCount == 0 || !adopted.ranges.isEmpty)
            && extents.contains(0..<byteCount)
    }

    /// Compares the digest, and puts the file in its place; `done` is called on the queue.
    func finish(_ done: @escaping @Sendable (Result<Bool, any Error>) -> Void) throws {
        state = .finishing
        if let held, let byteCount {
            queue.elsewhere { [order, queue, contentType] in
                let outcome = Result<Bool, any Error> {
                    try order.check(
                        held.first(Impostor.sampleSize, of: byteCount), byteCount, contentType)
                    let partial = try order.newPartial()
                    let sums = try held.write(byteCount, digest: order.digest, to: partial)
                    do { try order.publish(partial, sums) } catch {
                        FileSystem.discard(partial)
                        throw error
                    }
                    return true
                }
                queue.post { done(outcome) }
            }
            return
        }
        // An empty file is complete before anybody asked for it.
        try startJournal()
        guard let digester, let byteCount, let file = openFile else { return }
        let (order, partial, contentType) = (order, partial, contentType)
        digester.finish(byteCount) { [queue] result in
            let outcome = Result<Bool, any Error> {
                let sums = try result.get()
                if let digest = order.digest, !digest.matches(sums) {
                    throw Mismatch(expected: digest.description, found: digest.found(sums))
                }
                do {
                    try order.check(
                        Files.read(partial, first: min(byteCount, Impostor.sampleSize)) ?? [],
                        byteCount, contentType)
                } catch {
                    FileSystem.discard(partial)
                    if let journal = order.journal { FileSystem.discard(journal) }
                    throw error
                }
                // A partial file that was longer once ends where the file does. Nobody waits for the
                // disk: `Unflushed` remembers what a power cut may take.
                try file.file.truncate(to: byteCount)
                try order.publish(partial, sums)
                if let journal = order.journal { FileSystem.discard(journal) }
                return true
            }
            queue.post { done(outcome) }
        }
    }

    /// A digest was wrong: whose bytes are fetched again? Throws where everybody's were.
    func recover(from mismatch: Mismatch) throws {
        let contributors = sources.indices.filter { !sources[$0].brought.ranges.isEmpty }
        if !adopted.ranges.isEmpty {
            // What an earlier run left may be of an older file.
            try distrust(adopted)
        } else if let worst = contributors.last, sources.count > 1 {
            let bytes = sources[worst].brought
            sources[worst].brought = Extents()
            sources[worst].failure = wrong(mismatch)
            guard !isOutOfSources else { throw wrong(mismatch) }
            try distrust(bytes)
        } else {
            throw wrong(mismatch)
        }
        state = .active
    }

    private func wrong(_ mismatch: Mismatch) -> HubError {
        HubError.wrongDigest(
            url: order.sources.first?.location.shown ?? order.name, expected: mismatch.expected,
            found: mismatch.found)
    }

    /// Removes what arrived: it was wrong, or is too little to keep.
    func discard() {
        guard !partial.isEmpty else { return }
        FileSystem.discard(partial)
        if let journal = order.journal { FileSystem.discard(journal) }
    }
}

/// Bytes that are not those that were asked for.
struct Mismatch: Error {
    let expected: String
    let found: String
}

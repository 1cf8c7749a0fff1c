// Who may be connected and who is answered: counts that all connections share.

import NIOCore
import Synchronization

/// The connections of a server, and the requests that are answered.
final class Admission: Sendable {
    private struct Entry {
        let channel: any Channel
        /// Since when it has waited for a request; nil while one is answered.
        var idleSince: NIODeadline?
    }
    private struct State {
        var entries: [Int: Entry] = [:]
        var next = 0
        var running = 0
        var answered = 0
        var isStopping = false
        var waiting: [@Sendable () -> Void] = []
        var firstWaiting = 0
    }
    private let state = Mutex(State())
    private let limits: ServerLimits
    private let mostConnections: Int

    init(_ limits: ServerLimits) {
        self.limits = limits
        mostConnections = limits.possibleConnections
    }

    /// The open connections, the requests that are answered now, and those that were.
    var counts: (connections: Int, running: Int, answered: Int) {
        state.withLock { ($0.entries.count, $0.running, $0.answered) }
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Notes a connection, and closes the one that has been idle for longest if there are too many. Nil
    /// if all others are being answered: this one is not wanted.
    func enter(_ channel: any Channel) -> Int? {
        let (number, other) = state.withLock { state -> (Int?, (any Channel)?) in
            guard !state.isStopping else { return (nil, nil) }
            var other: (any Channel)?
            if state.entries.count >= mostConnections {
                let oldest = state.entries.lazy.filter { $0.value.idleSince != nil }
                    .min { ($0.value.idleSince ?? .now()) < ($1.value.idleSince ?? .now()) }
                guard let oldest else { return (nil, nil) }
                state.entries[oldest.key] = nil
                other = oldest.value.channel
            }
            let number = state.next
            state.next += 1
            state.entries[number] = Entry(channel: channel, idleSince: .now())
            return (number, other)
        }
        other?.close(promise: nil)
        return number
    }

    func leave(_ number: Int) { state.withLock { $0.entries[number] = nil } }

    /// Notes that a connection waits for a request, or that one is answered.
    func set(_ number: Int, isIdle: Bool) {
        state.withLock { $0.entries[number]?.idleSince = isIdle ? .now() : nil }
    }

    /// Runs `body` once it is its turn; false if too many wait already.
    func admit(_ body: @escaping @Sendable () -> Void) -> Bool {
        enum Verdict { case now, later, never }
        let verdict = state.withLock { state -> Verdict in
            if state.running < limits.requestsAtOnce {
                state.running += 1
                return .now
            }
            guard state.waiting.count - state.firstWaiting < limits.waitingRequests else {
                return .never
            }
            state.waiting.append(body)
            return .later
        }
        if verdict == .now { body() }
        return verdict != .never
    }

    /// Says that a request is answered, and lets the next one in.
    func done() {
        let next = state.withLock { state -> (@Sendable () -> Void)? in
            state.answered += 1
            guard state.firstWaiting < state.waiting.count else {
                state.running -= 1
                state.waiting = []
                state.firstWaiting = 0
                return nil
            }
            let next = state.waiting[state.firstWaiting]
            state.firstWaiting += 1
            if state.firstWaiting > 1024 {
                state.waiting.removeFirst(state.firstWaiting)
                state.firstWaiting = 0
            }
            return next
        }
        next?()
    }

    /// Lets nobody in any more, and closes who waits for nothing.
    func stop() {
        let idle = state.withLock { state -> [any Channel] in
            state.isStopping = true
            return state.entries.values.filter { $0.idleSince != nil }.map(\.channel)
        }
        for channel in idle { channel.close(promise: nil) }
    }

    /// Closes every connection.
    func closeAll() {
        let channels = state.withLock { $0.entries.values.map(\.channel) }
        for channel in channels { channel.close(promise: nil) }
    }
}

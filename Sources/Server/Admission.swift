// Who may be connected and who is answered: counts that all connections share.

import NIOCore
import Synchronization

/// The connections of a server, and the requests that are answered.
final class Admission: Sendable {
    private struct Entry {
        let channel: any Channel
        let address: String
        /// The time since which it has waited for a request; nil while one is answered.
        var idleSince: NIODeadline?
        /// The time since which it has not taken what was sent; nil while nothing is on its way.
        var sendingSince: NIODeadline?

        /// The time since which nobody would miss it, if it may go.
        func expendableSince(_ stallTime: TimeAmount) -> NIODeadline? {
            if let idleSince { return idleSince }
            guard let sendingSince, NIODeadline.now() - sendingSince > stallTime else { return nil }
            return sendingSince
        }
    }
    private struct Waiter: Sendable {
        let address: String
        let start: @Sendable () -> Void
    }
    private struct State {
        var entries: [Int: Entry] = [:]
        var connections: [String: Int] = [:]
        var next = 0
        var running = 0
        var runningOf: [String: Int] = [:]
        var answered = 0
        var isStopping = false
        var waiting: [Waiter] = []
    }
    private let state = Mutex(State())
    private let limits: ServerLimits

    init(_ limits: ServerLimits) { self.limits = limits }

    /// The numbers that `/health` shows.
    struct Counts {
        let connections: Int
        let running: Int
        let waiting: Int
        let answered: Int
    }

    var counts: Counts {
        state.withLock {
            Counts(
                connections: $0.entries.count, running: $0.running, waiting: $0.waiting.count,
                answered: $0.answered)
        }
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Notes a connection. If there are too many, of this address or at all, the one that has been idle, or has
    /// not read, for longest is closed; nil if all are being answered, so that this one cannot stay.
    func enter(_ channel: any Channel, address: String) -> Int? {
        let (number, other) = state.withLock { state -> (Int?, (any Channel)?) in
            guard !state.isStopping else { return (nil, nil) }
            let isCrowded =
                state.connections[address, default: 0] >= limits.connectionsPerAddress ?? .max
            var other: (any Channel)?
            if isCrowded || state.entries.count >= limits.connections {
                let stallTime = TimeAmount(limits.stallTime)
                var oldest: (number: Int, since: NIODeadline)?
                for (number, entry) in state.entries where !isCrowded || entry.address == address {
                    guard let since = entry.expendableSince(stallTime),
                        since < oldest?.since ?? .distantFuture
                    else { continue }
                    oldest = (number, since)
                }
                guard let oldest else { return (nil, nil) }
                other = state.entries[oldest.number]?.channel
                Self.remove(oldest.number, from: &state)
            }
            let number = state.next
            state.next += 1
            state.entries[number] = Entry(channel: channel, address: address, idleSince: .now())
            state.connections[address, default: 0] += 1
            return (number, other)
        }
        other?.close(promise: nil)
        return number
    }

    private static func remove(_ number: Int, from state: inout State) {
        guard let entry = state.entries.removeValue(forKey: number) else { return }
        let rest = state.connections[entry.address, default: 1] - 1
        state.connections[entry.address] = rest > 0 ? rest : nil
    }

    func leave(_ number: Int) { state.withLock { Self.remove(number, from: &$0) } }

    /// Notes that a connection waits for a request, or that one is answered.
    func set(_ number: Int, isIdle: Bool) {
        state.withLock { $0.entries[number]?.idleSince = isIdle ? .now() : nil }
    }

    /// Notes that a client has to take what was sent, or has taken all of it.
    func set(_ number: Int, isSending: Bool) {
        state.withLock { $0.entries[number]?.sendingSince = isSending ? .now() : nil }
    }

    /// The answers that one address may have at the same time: never all of them.
    private var runningPerAddress: Int { max(1, limits.requestsAtOnce / 2) }

    private func fits(_ address: String, in state: State) -> Bool {
        state.running < limits.requestsAtOnce
            && state.runningOf[address, default: 0] < runningPerAddress
    }

    /// Runs `start` once it is its turn; false if too many wait already.
    func admit(_ address: String, _ start: @escaping @Sendable () -> Void) -> Bool {
        enum Verdict { case now, later, never }
        let verdict = state.withLock { state -> Verdict in
            if fits(address, in: state) {
                state.running += 1
                state.runningOf[address, default: 0] += 1
                return .now
            }
            guard state.waiting.count < limits.waitingRequests else { return .never }
            state.waiting.append(Waiter(address: address, start: start))
            return .later
        }
        if verdict == .now { start() }
        return verdict != .never
    }

    /// Notes that a request of an address is answered, and lets the next one in.
    func done(_ address: String) {
        let next = state.withLock { state -> (@Sendable () -> Void)? in
            state.answered += 1
            state.running -= 1
            let rest = state.runningOf[address, default: 1] - 1
            state.runningOf[address] = rest > 0 ? rest : nil
            guard let index = state.waiting.firstIndex(where: { fits($0.address, in: state) })
            else {
                return nil
            }
            let next = state.waiting.remove(at: index)
            state.running += 1
            state.runningOf[next.address, default: 0] += 1
            return next.start
        }
        next?()
    }

    /// Counts a request that needed no turn.
    func noteAnswered() { state.withLock { $0.answered += 1 } }

    /// Admits no more connections, and closes those that wait for a request.
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

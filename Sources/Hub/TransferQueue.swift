// Runs transfers: one thread, one libcurl multi handle, every connection of every file.

import CCurl
import Dispatch
import GraftCache
import GraftSystem
import GraftTensors
import Synchronization

/// A set of transfers that share a rate limit and a place on the disk.
///
/// The loop alone talks to the network. Locks are taken, and small files hashed, written and put in
/// their places, by other threads: ahead of the loop and behind it.
final class TransferQueue: @unchecked Sendable {
    let http: HTTP
    let options: TransferOptions
    let report: (@Sendable (FetchProgress) -> Void)?
    // Touched on the thread of `run` only.
    var transfers: [Transfer] = []
    /// Those that still wait: the last is the next.
    private var waiting: [Transfer] = []
    /// Those that wait for another program to be done with their file.
    private var locked: [Transfer] = []
    /// Those that are being looked at, ready to be fetched, fetched, or put in their places.
    private(set) var open: [Transfer] = []
    private var rate: RateLimit?
    var remark: String?
    var reported = 0.0
    private(set) var now = Clock.monotonicSeconds
    private var failure: (any Error)?
    private let multi: UnsafeMutableRawPointer
    private var idle: [UnsafeMutableRawPointer] = []
    // What other threads ask the loop to do.
    private let mailbox = Mutex<[@Sendable () -> Void]>([])
    private let files = DispatchQueue(label: "graft.files", attributes: .concurrent)
    private let work = DispatchGroup()
    /// Files that are looked at before their turn, or put in their places after it.
    private static let ahead = 24

    init(
        _ http: HTTP, _ options: TransferOptions,
        report: (@Sendable (FetchProgress) -> Void)? = nil
    ) throws {
        guard HTTP.isReady, let multi = curl_multi_init() else { throw HubError.noLibrary }
        self.http = http
        self.options = options
        self.report = report
        self.multi = multi
        graft_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 64)
        rate = options.bytesPerSecond.map { RateLimit(bytesPerSecond: $0, now: now) }
    }

    deinit {
        for easy in idle { curl_easy_cleanup(easy) }
        curl_multi_cleanup(multi)
    }

    /// Runs all transfers to their end; the first failure ends the others too, whose partial files stay.
    func run(_ orders: [TransferOrder]) throws {
        transfers = orders.map { Transfer($0, options, self) }
        waiting = transfers.reversed()
        try checkSpace()
        defer { stopAll() }
        while failure == nil, !(waiting.isEmpty && locked.isEmpty && open.isEmpty) {
            now = Clock.monotonicSeconds
            for action in mailbox.withLock({
                let all = $0; $0 = []; return all
            }) { action() }
            if http.cancellation.isCancelled.load(ordering: .relaxed) { throw interruption() }
            startFiles()
            for transfer in open where transfer.state == .active { tend(transfer) }
            if failure != nil { break }
            let pause = rate?.wait(now: now) ?? 0
            if pause == 0, rate != nil { for open in connections { open.resume(now: now) } }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            now = Clock.monotonicSeconds
            collect()
            tell()
            guard mailbox.withLock({ $0.isEmpty }), failure == nil else { continue }
            curl_multi_poll(multi, nil, 0, Int32(idleMilliseconds(pause)), nil)
        }
        if let failure { throw failure }
        tell(isLast: true)
    }

    // MARK: What connections ask

    /// Whether the rate limit allows to take bytes.
    func mayTake() -> Bool { (rate?.wait(now: Clock.monotonicSeconds) ?? 0) == 0 }
    func took(_ count: Int) { rate?.take(count) }
    func note(_ text: String) { remark = text }

    /// Does something on the thread of the loop, soon.
    func post(_ action: @escaping @Sendable () -> Void) {
        mailbox.withLock { $0.append(action) }
        curl_multi_wakeup(multi)
    }

    // MARK: The loop

    var connections: [Connection] { open.flatMap(\.connections) }

    /// Does something elsewhere, which the end of `run` waits for.
    func elsewhere(_ action: @escaping @Sendable () -> Void) {
        files.async(group: work, execute: action)
    }

    private func startFiles() {
        if !locked.isEmpty {
            let ripe = locked.filter { $0.notBefore <= now }
            locked.removeAll { $0.notBefore <= now }
            waiting += ripe.reversed()
        }
        while !waiting.isEmpty, open.count < options.files + Self.ahead,
            open.count(where: { $0.state == .opening }) < options.files,
            let transfer = waiting.popLast()
        {
            transfer.state = .opening
            open.append(transfer)
            elsewhere { [self] in
                let found = Result { try transfer.look() }
                post { self.looked(at: transfer, found) }
            }
        }
        var active = open.count { $0.state == .active }
        for transfer in open where transfer.state == .ready {
            guard active < options.files else { return }
            transfer.state = .active
            active += 1
        }
    }

    /// Whether a file is to be fetched is known now.
    private func looked(at transfer: Transfer, _ found: Result<Transfer.Finding, any Error>) {
        do {
            switch try found.get() {
            case .isThere: close(transfer)
            case .isLocked:
                // Somebody else fetches it: the others first.
                open.removeAll { $0 === transfer }
                transfer.state = .waiting
                transfer.notBefore = now + 0.05
                locked.append(transfer)
                remark = "another program fetches \(transfer.order.name)"
            case .isWanted: try transfer.open { transfer.state = .ready }
            }
        } catch {
            failure = error
        }
    }

    /// Opens the connections that a file should have, and ends those that bring nothing.
    private func tend(_ transfer: Transfer) {
        do {
            for connection in transfer.connections {
                if connection.isSatisfied {
                    try end(connection, CURLE_OK)
                } else if !connection.isPaused, now - connection.lastByte > options.stallSeconds {
                    remark = "\(connection.location.host) stalls"
                    try end(connection, CURLE_OPERATION_TIMEDOUT)
                }
            }
            if transfer.isComplete {
                try finish(transfer)
                return
            }
            guard now >= transfer.notBefore else { return }
            transfer.pace.look(
                now: now, bytes: transfer.extents.byteCount,
                open: transfer.connections.count { $0.hasBegun }, most: options.connections)
            while transfer.connections.count < transfer.wantedConnections,
                let source = transfer.nextSource(now: now), let claim = transfer.nextClaim()
            {
                let state = transfer.sources[source]
                guard let easy = idle.popLast() ?? curl_easy_init() else {
                    throw HubError.noLibrary
                }
                let connection = Connection(
                    transfer, source: source, claim: claim,
                    location: state.resolved ?? state.source.location, easy: easy, now: now)
                transfer.connections.append(connection)
                connection.prepare(http)
                curl_multi_add_handle(multi, connection.easy)
            }
        } catch {
            failure = error
        }
    }

    /// Looks which requests ended.
    private func collect() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE,
                let easy = message.pointee.easy_handle
            else { continue }
            let code = message.pointee.data.result
            guard let connection = connections.first(where: { $0.easy == easy }) else { continue }
            do {
                try end(connection, code)
            } catch {
                failure = error
                return
            }
        }
    }

    private func end(_ connection: Connection, _ code: CURLcode) throws {
        let transfer = connection.transfer
        curl_multi_remove_handle(multi, connection.easy)
        if case .follow = try transfer.ended(connection, code) {
            connection.lastByte = now
            connection.prepare(http)
            curl_multi_add_handle(multi, connection.easy)
            return
        }
        transfer.connections.removeAll { $0 === connection }
        retire(connection)
    }

    /// Keeps the handle of a connection for the next one.
    private func retire(_ connection: Connection) {
        curl_easy_reset(connection.easy)
        idle.append(connection.easy)
    }

    /// Ends what a file still asks for.
    private func disconnect(_ transfer: Transfer) {
        for connection in transfer.connections {
            curl_multi_remove_handle(multi, connection.easy)
            retire(connection)
        }
        transfer.connections = []
    }

    private func finish(_ transfer: Transfer) throws {
        disconnect(transfer)
        try transfer.finish { [self] result in
            do {
                _ = try result.get()
                close(transfer)
            } catch let mismatch as Mismatch {
                do {
                    try transfer.recover(from: mismatch)
                } catch {
                    transfer.discard()
                    transfer.state = .done
                    failure = error
                }
            } catch {
                failure = error
            }
        }
    }

    private func close(_ transfer: Transfer) {
        open.removeAll { $0 === transfer }
        transfer.state = .done
        transfer.lock = nil
        transfer.release()
    }

    private func stopAll() {
        for transfer in open { disconnect(transfer) }
        // Nobody touches a file once this returns.
        work.wait()
        for transfer in open {
            if [.ready, .active].contains(transfer.state), transfer.keptBytes == 0 {
                transfer.discard()
            }
            transfer.lock = nil
        }
    }

    /// How long to sleep unless something arrives.
    private func idleMilliseconds(_ pause: Double) -> Int {
        var seconds = 0.2
        if pause > 0 { seconds = min(seconds, pause) }
        for transfer in locked { seconds = min(seconds, max(transfer.notBefore - now, 0.02)) }
        for transfer in open where transfer.state == .active && transfer.connections.isEmpty {
            seconds = min(seconds, max(transfer.nextAttempt - now, 0.001))
        }
        return max(1, Int(seconds * 1000))
    }
}

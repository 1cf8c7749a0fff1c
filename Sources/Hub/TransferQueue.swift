// Runs transfers: one thread, one libcurl multi handle, every connection of every file.

import CCurl
import Dispatch
import GraftCache
public import GraftTensors
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A set of transfers that share a rate limit and a place on the disk.
final class TransferQueue: @unchecked Sendable {
    let http: HTTP
    private let options: TransferOptions
    private let report: (@Sendable (FetchProgress) -> Void)?
    // Touched on the thread of `run` only.
    private var transfers: [Transfer] = []
    private var rate: RateLimit?
    private var remark: String?
    private var reported = 0.0
    private var checked = 0.0
    private(set) var now = monotonicSeconds()
    private var failure: (any Error)?
    private let multi: UnsafeMutableRawPointer
    // What other threads ask the loop to do.
    private let mailbox = Mutex<[@Sendable () -> Void]>([])

    init(
        _ http: HTTP, _ options: TransferOptions,
        report: (@Sendable (FetchProgress) -> Void)? = nil
    ) throws {
        guard HTTP.isReady, let multi = curl_multi_init() else { throw HubError("libcurl failed") }
        self.http = http
        self.options = options
        self.report = report
        self.multi = multi
        graft_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 64)
        rate = options.bytesPerSecond.map { RateLimit(bytesPerSecond: $0, now: now) }
    }

    deinit { curl_multi_cleanup(multi) }

    /// Runs all transfers to their end; the first failure ends the others too, whose partial files stay.
    func run(_ orders: [TransferOrder]) throws {
        transfers = orders.map { Transfer($0, options, self) }
        try checkSpace()
        defer { stopAll() }
        while failure == nil, transfers.contains(where: { $0.state != .done }) {
            now = monotonicSeconds()
            for action in mailbox.withLock({
                let all = $0; $0 = []; return all
            }) { action() }
            if http.cancellation.isCancelled.load(ordering: .relaxed) { throw interruption() }
            startFiles()
            for transfer in transfers where transfer.state == .active { tend(transfer) }
            if failure != nil { break }
            let pause = rate?.wait(now: now) ?? 0
            if pause == 0, rate != nil { for open in connections { open.resume(now: now) } }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            now = monotonicSeconds()
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
    func mayTake() -> Bool { (rate?.wait(now: monotonicSeconds()) ?? 0) == 0 }
    func took(_ count: Int) { rate?.take(count) }
    func note(_ text: String) { remark = text }

    /// Does something on the thread of the loop, soon.
    func post(_ action: @escaping @Sendable () -> Void) {
        mailbox.withLock { $0.append(action) }
        curl_multi_wakeup(multi)
    }

    // MARK: The loop

    private var connections: [Connection] { transfers.flatMap(\.connections) }

    private func startFiles() {
        var open = transfers.count { [.opening, .active, .finishing].contains($0.state) }
        for transfer in transfers where transfer.state == .waiting {
            guard open < options.files else { return }
            guard transfer.notBefore <= now else { continue }
            do {
                if let path = transfer.order.lock {
                    guard let lock = try FileLock(trying: path) else {
                        // Somebody else fetches it: the others first.
                        transfer.notBefore = now + 0.05
                        remark = "another program fetches \(transfer.order.name)"
                        continue
                    }
                    transfer.lock = lock
                }
                if try transfer.order.isThere() {
                    close(transfer)
                    continue
                }
                open += 1
                try transfer.open { transfer.state = .active }
            } catch {
                failure = error
                return
            }
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
                let connection = try Connection(
                    transfer, source: source, claim: claim,
                    location: state.resolved ?? state.source.location, now: now)
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
    }

    private func finish(_ transfer: Transfer) throws {
        for connection in transfer.connections {
            curl_multi_remove_handle(multi, connection.easy)
        }
        transfer.connections = []
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
        transfer.state = .done
        transfer.lock = nil
        transfer.release()
    }

    private func stopAll() {
        for transfer in transfers {
            for connection in transfer.connections {
                curl_multi_remove_handle(multi, connection.easy)
            }
            transfer.connections = []
            if transfer.state == .active, transfer.keptBytes == 0 { transfer.discard() }
            transfer.lock = nil
        }
    }

    /// How long to sleep unless something arrives.
    private func idleMilliseconds(_ pause: Double) -> Int {
        var seconds = 0.2
        if pause > 0 { seconds = min(seconds, pause) }
        for transfer in transfers {
            switch transfer.state {
            case .waiting: seconds = min(seconds, max(transfer.notBefore - now, 0.02))
            case .active where transfer.connections.isEmpty:
                seconds = min(seconds, max(transfer.nextAttempt - now, 0.001))
            default: break
            }
        }
        return max(1, Int(seconds * 1000))
    }

    // MARK: Space and progress

    /// Before the first byte: does all that is known to be missing fit on the disk?
    func checkSpace(for transfer: Transfer? = nil) throws {
        guard !options.ignoresSpace else { return }
        let waiting = transfer.map { [$0] } ?? transfers
        let missing = waiting.reduce(0) { $0 + max(0, ($1.byteCount ?? 0) - $1.keptOnDisk) }
        guard missing > 1 << 20, let first = waiting.first else { return }
        let path = try first.partial.isEmpty ? first.order.newPartial() : first.partial
        guard let free = Files.freeBytes(at: path), missing > free else { return }
        throw HubError(
            "not enough space for `\(path)`: expected \(missing) bytes, found \(free) free",
            hint: "free \(missing - free) bytes there (`graft cache gc`), or name another folder")
    }

    /// What stays for the next run.
    private func interruption() -> Interruption {
        let kept = transfers.filter { $0.state == .active || $0.state == .finishing }
            .reduce(0) { $0 + $1.keptBytes }
        return Interruption(keptBytes: kept, files: transfers.count { $0.state == .done })
    }

    private func tell(isLast: Bool = false) {
        guard let report, isLast || now - reported >= 0.1 else { return }
        reported = now
        let done = transfers.reduce(0) {
            $0 + ($1.state == .done ? $1.byteCount ?? 0 : $1.extents.byteCount)
        }
        let isWhole = transfers.allSatisfy { $0.byteCount != nil }
        let total = transfers.reduce(0) { $0 + ($1.byteCount ?? 0) }
        let active = transfers.first { $0.state == .active || $0.state == .finishing }
        let open = connections.count
        report(
            FetchProgress(
                file: active?.order.name ?? transfers.last?.order.name ?? "", bytes: done,
                totalBytes: isWhole ? total : nil,
                files: transfers.count { $0.state == .done }, totalFiles: transfers.count,
                connections: open, waiting: open == 0 && !isLast ? remark : nil))
        if open > 0 { remark = nil }
    }
}

/// A fetch that was interrupted, with what it keeps.
public struct Interruption: Diagnostic, Equatable {
    /// Bytes of unfinished files that need not be fetched again.
    public let keptBytes: Int
    /// Files that were complete.
    public let files: Int
    /// What happened.
    public var message: String {
        "interrupted: \(files) files are complete, \(keptBytes) bytes of others are kept"
    }
    /// What to do about it.
    public var hint: String? { "the same command goes on where this one stopped" }
}

/// Seconds of a clock that only goes forward.
func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

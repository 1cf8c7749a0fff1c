// What a queue says: whether there is space, how far it is, and what an interruption keeps.

import GraftCache
public import GraftTensors

extension TransferQueue {
    /// Before the first byte: does all that is known to be missing fit on the disk?
    func checkSpace(for transfer: Transfer? = nil) throws {
        guard !options.ignoresSpace else { return }
        let waiting = transfer.map { [$0] } ?? transfers
        let missing = waiting.map { max(0, ($0.byteCount ?? 0) - $0.keptOnDisk) }.clampedSum
        guard missing > 1 << 20, let first = waiting.first else { return }
        let path = try first.partial.isEmpty ? first.order.newPartial() : first.partial
        guard let free = Files.freeBytes(at: path), missing > free else { return }
        throw HubError.noSpace(path: path, needed: missing, free: free)
    }

    /// What stays for the next run.
    func interruption() -> Interruption {
        Interruption(
            keptBytes: open.reduce(0) { $0 + $1.keptBytes },
            files: transfers.count { $0.state == .done })
    }

    /// Tells how far everything is, ten times a second.
    func tell(isLast: Bool = false) {
        guard let report, isLast || now - reported >= 0.1 else { return }
        reported = now
        let done = transfers.map {
            $0.state == .done ? $0.byteCount ?? 0 : $0.extents.byteCount
        }.clampedSum
        let isWhole = transfers.allSatisfy { $0.byteCount != nil }
        let total = transfers.map { $0.byteCount ?? 0 }.clampedSum
        let active = open.first { $0.state == .active || $0.state == .finishing }
        let count = connections.count
        report(
            FetchProgress(
                file: active?.order.name ?? transfers.last?.order.name ?? "", bytes: done,
                totalBytes: isWhole ? total : nil,
                files: transfers.count { $0.state == .done }, totalFiles: transfers.count,
                connections: count, waiting: count == 0 && !isLast ? remark : nil))
        if count > 0 { remark = nil }
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

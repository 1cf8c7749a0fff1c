// A file on its way from upstream: its bytes are handed on as they arrive, the last one when all are verified.

import GraftServer
import Synchronization

/// One transfer, and everybody who waits for its bytes.
final class Pull: Sendable {
    private enum End {
        case complete(String)
        case failed(any Error)
    }
    private struct State {
        /// The partial file, and the bytes from its start that are there without a hole.
        var partial: ServedFile?
        var partialPath = ""
        var front = 0
        /// Counts partial files: bytes of one that was discarded are not to be continued.
        var generation = 0
        var end: End?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())
    let path: String

    /// The transfer broke off or started over: the client has to ask again.
    struct Interrupted: Error, Equatable {}

    /// Bytes that are read and sent at once.
    private static let pieceByteCount = 128 << 10

    init(path: String) { self.path = path }

    // MARK: The transfer's side

    /// Notes how far the partial file goes. Called on the thread of the transfer.
    func advance(partial: String, front: Int) {
        wake { state in
            if partial != state.partialPath || front < state.front {
                state.partialPath = partial
                state.partial = try? ServedFile(partial)
                state.generation += 1
            }
            state.front = front
        }
    }

    /// Notes that the file was verified and has its place.
    func finish(at path: String) { wake { $0.end = .complete(path) } }

    /// Notes that the transfer failed.
    func fail(_ error: any Error) { wake { $0.end = .failed(error) } }

    private func wake(_ change: (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: The clients' side

    /// Whether the file is verified and in its place.
    var isComplete: Bool {
        state.withLock { if case .complete = $0.end { true } else { false } }
    }

    /// Waits until the first bytes are there, or the file is.
    /// - Throws: The error of the transfer.
    func begun() async throws {
        while true {
            let isDone = try state.withLock { state in
                if case .failed(let error) = state.end { throw error }
                return state.end != nil || state.partial != nil && state.front > 0
            }
            if isDone { return }
            await change { $0.end == nil && ($0.partial == nil || $0.front == 0) }
        }
    }

    /// Waits while `condition` holds, until something changes.
    private func change(while condition: @escaping @Sendable (borrowing State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                guard condition(state) else { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    /// Sends a range of the file as its bytes arrive. The last byte is sent when all of the file is verified:
    /// no client has a whole answer with a wrong byte in it.
    func send(_ range: Range<Int>, to writer: ResponseWriter) async throws {
        var offset = range.lowerBound
        let generation = state.withLock { $0.generation }
        while offset < range.upperBound {
            try Task.checkCancellation()
            let step = try state.withLock { state -> (file: ServedFile?, end: Int, path: String?) in
                switch state.end {
                case .failed(let error): throw error
                case .complete(let path):
                    // What was sent is of a file that was discarded.
                    let isOther = state.generation != generation && offset > range.lowerBound
                    if isOther { throw Interrupted() }
                    return (state.partial, range.upperBound, path)
                case nil:
                    guard state.generation == generation else { throw Interrupted() }
                    return (state.partial, min(state.front, range.upperBound - 1), nil)
                }
            }
            if let path = step.path {
                // The partial file became the verified one; a small one was never on the disk before.
                let file = try step.file ?? ServedFile(path, followsLink: true)
                return try await copy(offset..<range.upperBound, of: file, to: writer)
            }
            guard let file = step.file, offset < step.end else {
                let reached = offset
                await change {
                    $0.end == nil && $0.generation == generation
                        && min($0.front, range.upperBound - 1) <= reached
                }
                continue
            }
            try await copy(offset..<step.end, of: file, to: writer)
            offset = step.end
        }
    }

    private func copy(
        _ range: Range<Int>, of file: ServedFile, to writer: ResponseWriter
    ) async throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let count = min(Self.pieceByteCount, range.upperBound - offset)
            var bytes = [UInt8](repeating: 0, count: count)
            let got = bytes.withUnsafeMutableBytes { file.read(into: $0, at: offset) }
            guard got == count else { throw Interrupted() }
            try await writer.write(bytes)
            offset += count
        }
    }
}

/// Lets a number of tasks run at the same time, and the others wait in order.
final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state: Mutex<State>

    init(count: Int) { state = Mutex(State(free: count)) }

    /// Waits for a turn.
    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free > 0 else {
                    state.waiters.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    /// Ends a turn, and begins the next one.
    func pass() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiters.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
    }
}

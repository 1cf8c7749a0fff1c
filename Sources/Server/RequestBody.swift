// The body of a request, piece by piece: the connection puts in, the handler takes out.

import NIOCore
import Synchronization

/// The bytes of a request's body, as they arrive. A client that sends faster than the handler reads is held up.
///
/// ```swift
/// for try await piece in request.body { file.write(piece) }
/// ```
public final class RequestBody: AsyncSequence, Sendable {
    /// A piece of a body.
    public typealias Element = [UInt8]

    private struct State {
        var pieces = CircularBuffer<[UInt8]>()
        var byteCount = 0
        var isComplete = false
        var isAsked = false
        var failure: BodyError?
        var waiter: CheckedContinuation<[UInt8]?, any Error>?
    }
    private let state = Mutex(State())
    /// Called when the handler wants bytes and there are few.
    private let demand: @Sendable () -> Void

    /// The bytes that may wait for the handler.
    static let waitingByteCount = 512 << 10

    init(demand: @escaping @Sendable () -> Void) { self.demand = demand }

    /// A body that is complete.
    public convenience init(_ bytes: [UInt8]) {
        self.init(demand: {})
        if !bytes.isEmpty { _ = add(bytes) }
        complete()
    }

    /// Reads the whole body.
    ///
    /// - Throws: ``BodyError`` if it is longer than `limit` bytes or does not come to its end.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in self {
            guard bytes.count + piece.count <= limit else { throw BodyError.tooLarge(limit: limit) }
            bytes += piece
        }
        return bytes
    }

    /// Makes an iterator; all iterators of a body share its bytes.
    public func makeAsyncIterator() -> Iterator { Iterator(body: self) }

    /// Takes the pieces of a body out.
    public struct Iterator: AsyncIteratorProtocol {
        let body: RequestBody

        /// The next piece; nil at the end.
        public mutating func next() async throws -> [UInt8]? { try await body.next() }
    }

    private func next() async throws -> [UInt8]? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                take(continuation)
            }
        } onCancel: {
            fail(.interrupted)
        }
    }

    private func take(_ continuation: CheckedContinuation<[UInt8]?, any Error>) {
        enum Answer {
            case piece([UInt8]?, wantsMore: Bool)
            case failure(BodyError)
            case wait
        }
        let answer = state.withLock { state -> Answer in
            state.isAsked = true
            if let piece = state.pieces.popFirst() {
                state.byteCount -= piece.count
                let wantsMore = !state.isComplete && state.byteCount < Self.waitingByteCount
                return .piece(piece, wantsMore: wantsMore)
            }
            if let failure = state.failure { return .failure(failure) }
            if state.isComplete { return .piece(nil, wantsMore: false) }
            // One handler reads; a second reader would take the place of the first.
            guard state.waiter == nil else { return .failure(.interrupted) }
            state.waiter = continuation
            return .wait
        }
        switch answer {
        case .piece(let piece, let wantsMore):
            continuation.resume(returning: piece)
            if wantsMore { demand() }
        case .failure(let failure): continuation.resume(throwing: failure)
        case .wait: demand()
        }
    }

    // MARK: The connection's side

    /// Whether more bytes may come: the handler asked, and few wait.
    var wantsBytes: Bool {
        state.withLock { $0.isAsked && $0.byteCount < Self.waitingByteCount }
    }

    /// Whether the handler has asked for bytes.
    var isAsked: Bool { state.withLock { $0.isAsked } }

    /// Adds a piece; whether more are wanted at once.
    func add(_ piece: [UInt8]) -> Bool {
        let (waiter, wantsMore) = state.withLock { state in
            if let waiter = state.waiter {
                state.waiter = nil
                return (Optional(waiter), true)
            }
            state.pieces.append(piece)
            state.byteCount += piece.count
            return (nil, state.byteCount < Self.waitingByteCount)
        }
        waiter?.resume(returning: piece)
        return wantsMore
    }

    /// Notes that the body has ended.
    func complete() {
        let waiter = state.withLock { state in
            state.isComplete = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    /// Notes that the body does not come to its end.
    func fail(_ failure: BodyError) {
        let waiter = state.withLock { state -> CheckedContinuation<[UInt8]?, any Error>? in
            guard !state.isComplete, state.failure == nil else { return nil }
            state.failure = failure
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(throwing: failure)
    }
}

// Runs the handler of one request and sends what it answers, on a thread that may wait.

import NIOCore
import Synchronization

/// Answers one request from the handler's task.
struct Sender: Sendable {
    private let connection: NIOLoopBound<Connection>
    private let loop: any EventLoop
    private let isHead: Bool
    private let shared: Connection.Shared

    /// A stream that broke off: the client must not take what it has for the whole.
    private enum Incomplete: Error { case fileEndedEarly, wrongLength, closed }

    init(
        _ connection: Connection, on loop: any EventLoop, isHead: Bool,
        shared: Connection.Shared
    ) {
        self.connection = NIOLoopBound(connection, eventLoop: loop)
        self.loop = loop
        self.isHead = isHead
        self.shared = shared
    }

    /// Makes the task end with its connection.
    func note(_ task: Task<Void, Never>) {
        loop.execute {
            let connection = connection.value
            // The client may have left, or the answer may have ended, before this ran.
            if connection.context == nil { task.cancel() }
            connection.current?.task = task
        }
    }

    /// The handler's answer; nil where there is none to send.
    func respond(to request: ServerRequest) async -> ServerResponse? {
        do {
            return try await shared.handler(request)
        } catch let error as BodyError {
            refuse(error)
            return nil
        } catch is CancellationError {
            close("the client closed the connection")
            return nil
        } catch {
            loop.execute { connection.value.current?.problem = "\(error)" }
            return .json(["error": "the request could not be answered"], status: 500)
        }
    }

    private func refuse(_ error: BodyError) {
        guard error != .interrupted else { return close("the client closed the connection") }
        loop.execute {
            guard connection.value.context != nil else { return connection.value.finish("refused") }
            connection.value.refuse(error.status)
        }
    }

    private func close(_ problem: String) {
        loop.execute { connection.value.finish(problem) }
    }

    /// Sends an answer, no faster than the client takes it.
    func send(_ response: ServerResponse) async {
        let isShort = (response.byteCount ?? .max) <= shared.limits.pieceByteCount
        switch response.body {
        case .bytes where isShort || isHead:
            return loop.execute { whole(response) }
        case .bytes, .file, .stream: break
        }
        if isHead {
            return loop.execute {
                connection.value.sendHeadAlone(response)
            }
        }
        do {
            loop.execute { connection.value.sendHead(response) }
            try await sendBody(response.body)
            loop.execute { connection.value.flushEnd() }
        } catch {
            close("the answer broke off: \(Self.words(error))")
        }
    }

    private func whole(_ response: ServerResponse) {
        guard connection.value.context != nil else {
            return connection.value.finish("the client closed the connection")
        }
        connection.value.sendWhole(response)
    }

    private static func words(_ error: any Error) -> String {
        switch error as? Incomplete {
        case .fileEndedEarly: "the file ended early"
        case .wrongLength: "its length was not as announced"
        case .closed: "the client closed the connection"
        case nil: "\(type(of: error))"
        }
    }

    private func sendBody(_ body: ServerResponse.Body) async throws {
        let window = Window(self)
        let size = shared.limits.pieceByteCount
        switch body {
        case .bytes(let bytes):
            for start in stride(from: 0, to: bytes.count, by: size) {
                try await window.send(
                    ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)]))
            }
        case .file(let file, let range):
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = min(size, range.upperBound - offset)
                var buffer = ByteBufferAllocator().buffer(capacity: count)
                let got = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) {
                    file.read(into: .init(rebasing: $0[..<count]), at: offset)
                }
                guard got == count else { throw Incomplete.fileEndedEarly }
                try await window.send(buffer)
                offset += count
            }
        case .stream(let count, let make):
            let total = Mutex(0)
            try await make(
                ResponseWriter { bytes in
                    let sum = total.withLock { total in
                        total += bytes.count
                        return total
                    }
                    guard sum <= count ?? .max else { throw Incomplete.wrongLength }
                    guard !bytes.isEmpty else { return }
                    try await window.send(ByteBuffer(bytes: bytes))
                })
            guard count == nil || total.withLock({ $0 }) == count else {
                throw Incomplete.wrongLength
            }
        }
        try await window.finish()
    }

    /// Two pieces on their way at most: one is read while the other is sent.
    private final class Window: Sendable {
        private let sender: Sender
        private let last = Mutex<EventLoopFuture<Void>?>(nil)

        init(_ sender: Sender) { self.sender = sender }

        func send(_ buffer: ByteBuffer) async throws {
            let (connection, loop) = (sender.connection, sender.loop)
            let written = loop.flatSubmit {
                connection.value.send(buffer) ?? loop.makeFailedFuture(Incomplete.closed)
            }
            let previous = last.withLock { last in
                defer { last = written }
                return last
            }
            try await previous?.get()
        }

        func finish() async throws { try await last.withLock { $0 }?.get() }
    }
}

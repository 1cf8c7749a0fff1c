// Listens, hands requests to a handler, and stops when its task is cancelled.

import Dispatch
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An HTTP/1.1 server that no client can stop.
public struct HTTPServer: Sendable {
    /// Answers a request; called on a thread that may wait.
    public typealias Handler = @Sendable (ServerRequest) -> ServerResponse

    private let host: String
    private let port: Int
    private let limits: ServerLimits
    private let tokens: [String]
    private let log: (@Sendable (AccessRecord) -> Void)?
    private let handler: Handler

    /// A server. It answers `GET /health` itself.
    ///
    /// - Parameters:
    ///   - host: an IP address, or `localhost`.
    ///   - port: 0 takes any that is free.
    ///   - tokens: with any, requests must show one of them as `Authorization: Bearer …`.
    ///   - log: hears of each request, one at a time; may wait.
    public init(
        host: String = "127.0.0.1", port: Int, limits: ServerLimits = ServerLimits(),
        tokens: [String] = [], log: (@Sendable (AccessRecord) -> Void)? = nil,
        handler: @escaping Handler
    ) {
        self.host = host
        self.port = port
        self.limits = limits
        self.tokens = tokens
        self.log = log
        self.handler = handler
    }

    /// Serves until the task is cancelled, then lets answers end for ``ServerLimits/stopTime``; `ready`
    /// hears the address once it answers.
    ///
    /// - Throws: ``ServerError`` if it cannot listen there.
    public func run(ready: @Sendable (String) -> Void = { _ in }) async throws {
        // A client that goes away is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        let name = host == "localhost" ? "127.0.0.1" : host
        guard let address = try? SocketAddress(ipAddress: name, port: port),
            (0...65_535).contains(port)
        else { throw ServerError.noAddress(host) }
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: max(1, min(4, System.coreCount)))
        let pool = NIOThreadPool(numberOfThreads: max(4, min(16, 2 * System.coreCount)))
        pool.start()
        let admission = Admission(limits)
        let shared = Connection.Shared(
            limits: limits, tokens: tokens.map { Array($0.utf8) }, handler: handler,
            admission: admission, pool: pool, journal: Journal(log))
        do {
            let listener = try await listen(address, group, shared)
            ready(Self.text(listener.localAddress, host: host, port: port))
            await Self.untilCancelled()
            listener.close(promise: nil)
            await stop(admission)
        } catch let error as ServerError {
            try? await group.shutdownGracefully()
            try? await pool.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
        try? await pool.shutdownGracefully()
        await shared.journal.finish()
    }

    private func listen(
        _ address: SocketAddress, _ group: MultiThreadedEventLoopGroup, _ shared: Connection.Shared
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Connection.set(up: channel, shared) }
            }
        do {
            return try await bootstrap.bind(to: address).get()
        } catch {
            let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) }
            throw ServerError.cannotListen(
                host: host, port: port, reason: (reason ?? "\(error)").lowercased())
        }
    }

    /// Waits for the answers that are being sent, and ends those that take too long.
    private func stop(_ admission: Admission) async {
        admission.stop()
        let end = ContinuousClock.now + limits.stopTime
        while admission.counts.connections > 0, ContinuousClock.now < end {
            // Not in the cancelled task, whose sleep would end at once.
            await Task.detached { try? await Task.sleep(for: .milliseconds(20)) }.value
        }
        admission.closeAll()
    }

    private static func untilCancelled() async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        await withTaskCancellationHandler {
            for await _ in stream {}
        } onCancel: {
            continuation.finish()
        }
    }

    private static func text(_ address: SocketAddress?, host: String, port: Int) -> String {
        let port = address?.port ?? port
        let name = address?.ipAddress ?? host
        return name.contains(":") ? "http://[\(name)]:\(port)" : "http://\(name):\(port)"
    }
}

/// The access log, written by a thread of its own: a reader that stands still holds up no answer.
final class Journal: Sendable {
    private let queue = DispatchQueue(label: "graft.server.log")
    private let log: (@Sendable (AccessRecord) -> Void)?
    private let waiting = Mutex(0)
    /// The lines that may wait; more are lost.
    private static let mostWaiting = 10_000

    init(_ log: (@Sendable (AccessRecord) -> Void)?) { self.log = log }

    func add(_ record: AccessRecord) {
        guard let log else { return }
        let fits = waiting.withLock { waiting in
            guard waiting < Self.mostWaiting else { return false }
            waiting += 1
            return true
        }
        guard fits else { return }
        queue.async {
            log(record)
            self.waiting.withLock { $0 -= 1 }
        }
    }

    /// Waits until what was added is written.
    func finish() async {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume() }
        }
    }
}

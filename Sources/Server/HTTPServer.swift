// Listens, hands requests to a handler, and stops when its task is cancelled.

import NIOCore
import NIOHTTP1
import NIOPosix

/// An HTTP/1.1 server that no client can stop.
///
/// ```swift
/// let server = HTTPServer(port: 8080) { request in
///     .text(status: 200, "you asked for \(request.target)")
/// }
/// try await server.run { print("listening on \($0)") }
/// ```
public struct HTTPServer: Sendable {
    /// Answers a request, on a thread that may wait. An error of a ``RequestBody`` that it throws becomes
    /// the status that fits, every other one 500.
    public typealias Handler = @Sendable (ServerRequest) async throws -> ServerResponse
    /// The number of bytes that the body of a request may have; it sees the head alone.
    public typealias BodyLimit = @Sendable (ServerRequest) -> Int

    private let host: String
    private let port: Int
    private let limits: ServerLimits
    private let tokens: AccessTokens
    private let log: AccessLog?
    private let bodyLimit: BodyLimit?
    private let handler: Handler

    /// A server. It answers `GET /health` itself, without a token.
    ///
    /// - Parameters:
    ///   - host: An IP address, or `localhost`.
    ///   - port: The port; 0 takes any that is free.
    ///   - tokens: The tokens that requests may show as `Authorization: Bearer …`.
    ///   - log: The access log.
    ///   - bodyLimit: The largest body of a request, where it is not ``ServerLimits/bodyByteCount``.
    public init(
        host: String = "127.0.0.1", port: Int, limits: ServerLimits = ServerLimits(),
        tokens: AccessTokens = .none, log: AccessLog? = nil, bodyLimit: BodyLimit? = nil,
        handler: @escaping Handler
    ) {
        self.host = host
        self.port = port
        self.limits = limits
        self.tokens = tokens
        self.log = log
        self.bodyLimit = bodyLimit
        self.handler = handler
    }

    /// Serves until the task is cancelled, then lets answers end for ``ServerLimits/stopTime``. `ready` is
    /// called with the address as soon as it answers. Raises the limit of open files of the process as far
    /// as the system permits.
    ///
    /// - Throws: ``ServerError`` if it cannot listen there.
    public func run(ready: @Sendable (String) -> Void = { _ in }) async throws {
        let name = host == "localhost" ? "127.0.0.1" : host
        guard (0...65_535).contains(port),
            let address = try? SocketAddress(ipAddress: name, port: port)
        else { throw ServerError.noAddress(host) }
        let limits = limits.possible(openFiles: FileLimit.raised())
        let group = MultiThreadedEventLoopGroup(
            numberOfThreads: max(1, min(4, System.coreCount)))
        let admission = Admission(limits)
        let shared = Connection.Shared(
            limits: limits, tokens: tokens, bodyLimit: bodyLimit, handler: handler,
            admission: admission,
            executor: WorkerExecutor(threads: max(4, min(16, 2 * System.coreCount))), log: log)
        var failure: ServerError?
        do {
            let listener = try await listen(on: address, group: group, shared: shared)
            ready(Self.text(listener.localAddress, host: host, port: port))
            // On a thread of its own: it stops at once though the program's are busy and every handler waits.
            let stopping = WorkerExecutor(threads: 1)
            await withTaskExecutorPreference(stopping) {
                await Self.untilCancelled()
                listener.close(promise: nil)
                await stop(admission, within: limits.stopTime, on: stopping)
            }
            await stopping.shutDown()
        } catch let error as ServerError {
            failure = error
        }
        try? await group.shutdownGracefully()
        await shared.executor.shutDown()
        await log?.finish()
        if let failure { throw failure }
    }

    private func listen(
        on address: SocketAddress, group: MultiThreadedEventLoopGroup,
        shared: Connection.Shared
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Connection.set(up: channel, shared) }
            }
        do {
            return try await bootstrap.bind(to: address).get()
        } catch {
            let reason = (error as? IOError).map { systemMessage($0.errnoCode) }
            throw ServerError.cannotListen(
                host: host, port: port, reason: reason ?? "\(error)".lowercased())
        }
    }

    /// Waits for the answers that are being sent, and ends those that take too long.
    private func stop(
        _ admission: Admission, within time: Duration, on executor: WorkerExecutor
    ) async {
        // Not in the cancelled task, whose sleep would end at once.
        func pause() async {
            await Task.detached(executorPreference: executor) {
                try? await Task.sleep(for: .milliseconds(20))
            }.value
        }
        admission.stop()
        let end = ContinuousClock.now + time
        while admission.counts.connections > 0, ContinuousClock.now < end { await pause() }
        admission.closeAll()
        // Handlers hear of it by their cancellation; their tasks end on the threads that end next.
        let last = ContinuousClock.now + .seconds(2)
        while admission.counts.running > 0, ContinuousClock.now < last { await pause() }
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

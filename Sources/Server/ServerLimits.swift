// Every limit of the server, with its default.

/// The limits of a server: no client makes it use more.
public struct ServerLimits: Sendable, Hashable {
    /// Open connections. When another one comes, the one that has been idle for longest is closed.
    public var connections = 4096
    /// Open connections of one address; half of all that there may be, where nil.
    public var connectionsPerAddress: Int?
    /// Handlers that run at the same time; other requests wait for their turn.
    public var requestsAtOnce = 512
    /// Requests that wait; beyond that the answer is 503.
    public var waitingRequests = 4096
    /// Requests per connection; the last one's answer closes it.
    public var requestsPerConnection = 10_000
    /// Bytes of a request's first line and fields; beyond that the answer is 431.
    public var headByteCount = 32 << 10
    /// Bytes of the address in the first line; beyond that the answer is 414.
    public var targetByteCount = 16 << 10
    /// Fields of a head; beyond that the answer is 431.
    public var fieldCount = 100
    /// Bytes of a body, where the handler does not set another limit; beyond that the answer is 413.
    public var bodyByteCount = 16 << 20
    /// Time for a whole head, from its first byte; beyond that the answer is 408.
    public var headTime = Duration.seconds(10)
    /// Time in which ``bytesPerPeriod`` bytes of a body must come; beyond that the answer is 408.
    public var bodyTime = Duration.seconds(30)
    /// Bytes of a body that must come in ``bodyTime`` while it is waited for.
    public var bytesPerPeriod = 4 << 10
    /// Time that a connection may be idle.
    public var idleTime = Duration.seconds(60)
    /// Time in which a client must take a piece of an answer, ``pieceByteCount`` bytes.
    public var answerTime = Duration.seconds(60)
    /// Time that answers have to end after the server was told to stop.
    public var stopTime = Duration.seconds(10)
    /// Bytes of a file that are read and sent at once.
    public var pieceByteCount = 128 << 10

    /// The defaults.
    public init() {}

    /// Time after which a client that does not take a piece of an answer makes room for a new connection,
    /// where there is none left.
    public var stallTime = Duration.seconds(5)
    /// The limits that a process with this limit of open files can keep: each connection takes one and may be
    /// sent a file, and each handler may have one of its own.
    func possible(openFiles: Int) -> ServerLimits {
        var limits = self
        let own = 64
        limits.requestsAtOnce = max(1, min(requestsAtOnce, (openFiles - own) / 8))
        limits.connections = max(
            1, min(connections, (openFiles - own - limits.requestsAtOnce) / 2))
        limits.connectionsPerAddress = max(
            1, min(connectionsPerAddress ?? (limits.connections + 1) / 2, limits.connections))
        return limits
    }
}

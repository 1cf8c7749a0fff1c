// Every limit of the server, with its default.

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The limits of a server: no client makes it use more.
public struct ServerLimits: Sendable, Hashable {
    /// Open connections; lowered to what the process's limit of open files leaves room for. When a new
    /// one comes beyond it, the one that has been idle for longest is closed.
    public var connections = 4096
    /// Requests that are answered at once; others wait for their turn.
    public var requestsAtOnce = 64
    /// Requests that wait; beyond that the answer is 503.
    public var waitingRequests = 1024
    /// Bytes of a request's first line and fields; beyond that the answer is 431.
    public var headByteCount = 32 << 10
    /// Bytes of the address in the first line; beyond that the answer is 414.
    public var targetByteCount = 16 << 10
    /// Fields of a head; beyond that the answer is 431.
    public var fieldCount = 100
    /// Bytes of a body; beyond that the answer is 413.
    public var bodyByteCount = 16 << 20
    /// Time for a whole head, from its first byte; beyond that the answer is 408.
    public var headTime = Duration.seconds(10)
    /// Time without a byte of a body; beyond that the answer is 408.
    public var bodyTime = Duration.seconds(30)
    /// Time that a connection may be idle.
    public var idleTime = Duration.seconds(60)
    /// Time without progress of an answer: the client does not read.
    public var answerTime = Duration.seconds(60)
    /// Time that answers have to end once the server is told to stop.
    public var stopTime = Duration.seconds(10)

    /// The defaults.
    public init() {}

    /// The connections that the process can really have.
    var possibleConnections: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return max(1, connections)
        }
        // Each answer may have a file open, and the process has some of its own.
        let files = Int(min(limit.rlim_cur, rlim_t(1 << 20)))
        return max(1, min(connections, files - requestsAtOnce - 64))
    }
}

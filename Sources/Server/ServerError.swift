// What keeps a server from listening.

public import GraftTensors

/// A server that cannot listen.
public enum ServerError: Diagnostic, Equatable {
    /// The host is not an IP address.
    case noAddress(String)
    /// The system refused.
    case cannotListen(host: String, port: Int, reason: String)

    /// The address, and why it cannot be listened on.
    public var message: String {
        switch self {
        case .noAddress(let host): "expected an IP address to listen on, found `\(host)`"
        case .cannotListen(let host, let port, let reason):
            "cannot listen on `\(host)`, port \(port): \(reason)"
        }
    }

    /// Another address or port to type.
    public var hint: String? {
        switch self {
        case .noAddress:
            "`127.0.0.1` serves this machine only, `0.0.0.0` every machine that reaches this one"
        case .cannotListen: "name another port with `--port`; 0 takes any that is free"
        }
    }
}

/// Why the body of a request does not come to its end.
public enum BodyError: Error, Equatable {
    /// The body is longer than this; the answer is 413.
    case tooLarge(limit: Int)
    /// The client went away, or the server stops.
    case interrupted
    /// The client sends too slowly; the answer is 408.
    case tooSlow
    /// The bytes are not those of a body; the answer is 400.
    case malformed
}

extension BodyError {
    /// The status that tells the client.
    var status: Int {
        switch self {
        case .tooLarge: 413
        case .tooSlow: 408
        case .malformed, .interrupted: 400
        }
    }
}

// What keeps a server from listening.

public import GraftTensors

/// A server that cannot listen.
public enum ServerError: Diagnostic, Equatable {
    /// The host is not an address of this machine.
    case noAddress(String)
    /// The system refused.
    case cannotListen(host: String, port: Int, reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .noAddress(let host): "expected an IP address to listen on, found `\(host)`"
        case .cannotListen(let host, let port, let reason):
            "cannot listen on `\(host)`, port \(port): \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .noAddress:
            "`127.0.0.1` serves this machine only, `0.0.0.0` every machine that reaches this one"
        case .cannotListen: "name another port with `--port`; 0 takes any that is free"
        }
    }
}

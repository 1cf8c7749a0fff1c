// `graft serve`: listens, and hands what clients send to `Answering`.

import FlyingFox
import FlyingSocks
import Foundation
import GraftCache
public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The Hub cache of this machine, served to others as a Hub. Read-only.
public struct Mirror: Sendable {
    private let host: String
    private let port: UInt16
    private let shelf: Shelf
    private let usage: Cache

    /// A mirror of the Hub cache at `root` ($HF_HUB_CACHE by default); port 0 takes any that is free.
    public init(root: String? = nil, host: String = "127.0.0.1", port: UInt16 = 8010) {
        self.host = host
        self.port = port
        shelf = Shelf(root: root)
        usage = Cache()
    }

    /// The folder that is served.
    public var root: String { shelf.hub.root }

    /// Serves until the task is cancelled; `ready` hears the address once it answers.
    /// - Throws: ``MirrorError`` if it cannot listen there.
    public func run(ready: @Sendable (String) -> Void = { _ in }) async throws {
        // A client that goes away is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        let server = try makeServer()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await server.run()
                } catch is CancellationError {
                    return
                } catch {
                    throw MirrorError.cannotListen(
                        host: host, port: port, reason: "\(error.localizedDescription)")
                }
            }
            do {
                try await server.waitUntilListening(timeout: 10)
                ready(await address(of: server))
            } catch {
                // What `run` throws says why.
                try await group.next()
                throw error
            }
            try await group.waitForAll()
        }
    }

    private func makeServer() throws -> HTTPServer {
        let handler = Handler(answering: Answering(shelf: shelf), usage: usage)
        func server(_ address: some SocketAddress) -> HTTPServer {
            HTTPServer(address: address, timeout: 3600, logger: .disabled, handler: handler)
        }
        let name = host == "localhost" ? "127.0.0.1" : host
        if let address = try? sockaddr_in.inet(ip4: name, port: port) { return server(address) }
        if let address = try? sockaddr_in6.inet6(ip6: name, port: port) { return server(address) }
        throw MirrorError.noAddress(host)
    }

    private func address(of server: HTTPServer) async -> String {
        switch await server.listeningAddress {
        case .ip4(let host, let port): "http://\(host):\(port)"
        case .ip6(let host, let port): "http://[\(host)]:\(port)"
        default: "http://\(host):\(port)"
        }
    }
}

/// A mirror that cannot be.
public enum MirrorError: Diagnostic, Equatable {
    /// The host is no address of this machine.
    case noAddress(String)
    /// The system does not let it listen there.
    case cannotListen(host: String, port: UInt16, reason: String)

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
        case .noAddress: "`127.0.0.1` serves this machine, `0.0.0.0` whoever reaches it"
        case .cannotListen: "name another one with `--port`; 0 takes any that is free"
        }
    }
}

/// Between the server's words and ours.
private struct Handler: HTTPHandler {
    let answering: Answering
    let usage: Cache

    func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
        var fields: [String: String] = [:]
        for (name, value) in request.headers { fields[name.rawValue.lowercased()] = value }
        let hasBody = request.method != .GET && request.method != .HEAD
        var body: [UInt8] = []
        if hasBody {
            for try await chunk in request.bodySequence {
                body += chunk
                guard body.count <= 16 << 20 else {
                    return respond(.refusal(413, "the request is too large"), to: request)
                }
            }
        }
        guard
            let asked = MirrorRequest(
                method: request.method.rawValue, target: request.target.rawValue, fields: fields,
                body: body)
        else { return respond(.refusal(400, "the address cannot be read"), to: request) }
        return respond(answering.answer(asked), to: request)
    }

    private func respond(_ answer: MirrorAnswer, to request: HTTPRequest) -> HTTPResponse {
        var headers = HTTPHeaders()
        for (name, value) in answer.fields { headers.setValues([value], for: HTTPHeader(name)) }
        headers[.contentLength] = "\(answer.byteCount)"
        let status = HTTPStatusCode(answer.status, phrase: Self.phrases[answer.status] ?? "Error")
        guard request.method != .HEAD else {
            return HTTPResponse(statusCode: status, headers: headers)
        }
        switch answer.body {
        case .bytes(let bytes):
            return HTTPResponse(statusCode: status, headers: headers, body: Data(bytes))
        case .file(let file, let range):
            if range.lowerBound == 0 { usage.recordUse(of: file.name) }
            return HTTPResponse(
                statusCode: status, headers: headers,
                body: HTTPBodySequence(
                    from: FileBody(file: file, range: range), count: range.count,
                    suggestedBufferSize: FileBody.pieceSize))
        }
    }

    private static let phrases = [
        200: "OK", 206: "Partial Content", 400: "Bad Request", 401: "Unauthorized",
        404: "Not Found",
        405: "Method Not Allowed", 413: "Payload Too Large", 416: "Range Not Satisfiable",
        500: "Internal Server Error",
    ]
}

// A TCP client that sends what it is told, sound or not, and a server to send it to.

import Glibc
import Synchronization
import Testing

@testable import GraftServer

/// A blocking connection to a port of this machine.
final class RawClient {
    /// Nobody listens.
    struct Refused: Error, Equatable {}

    let descriptor: Int32

    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        if var size = receiveBuffer {
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Refused() }
    }

    deinit { close(descriptor) }

    /// Sends text; whether the connection took all of it.
    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// The next bytes; none at the end of the connection, nil where it was reset or nothing came.
    func receive(_ count: Int = 65536) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: count)
        let got = recv(descriptor, &buffer, count, 0)
        return got < 0 ? nil : Array(buffer[..<got])
    }

    /// Everything until the server closes the connection.
    func rest() -> String {
        var all: [UInt8] = []
        while let piece = receive(), !piece.isEmpty { all += piece }
        return String(decoding: all, as: UTF8.self)
    }

    /// Bytes until they end with `end`.
    func until(_ end: String) -> String {
        var all: [UInt8] = []
        while !String(decoding: all, as: UTF8.self).hasSuffix(end), let piece = receive(1),
            !piece.isEmpty
        {
            all += piece
        }
        return String(decoding: all, as: UTF8.self)
    }

    /// Ends the connection with a reset.
    func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }
}

/// Runs `body` against a server on a free port, and stops the server.
func serving<Result: Sendable>(
    limits: ServerLimits = ServerLimits(), tokens: AccessTokens = .none, log: AccessLog? = nil,
    bodyLimit: HTTPServer.BodyLimit? = nil, handler: @escaping HTTPServer.Handler,
    _ body: @Sendable (Int) async throws -> Result
) async throws -> Result {
    let server = HTTPServer(
        port: 0, limits: limits, tokens: tokens, log: log, bodyLimit: bodyLimit, handler: handler)
    let (addresses, continuation) = AsyncStream<String>.makeStream()
    let task = Task { try await server.run { continuation.yield($0) } }
    var iterator = addresses.makeAsyncIterator()
    let address = try #require(await iterator.next())
    let port = try #require(address.split(separator: ":").last.flatMap { Int($0) })
    do {
        let result = try await body(port)
        task.cancel()
        try await task.value
        return result
    } catch {
        task.cancel()
        try? await task.value
        throw error
    }
}

/// Answers with the target, and with the number of bytes of a body.
let echo: HTTPServer.Handler = { request in
    let count = try await request.body.collect(upTo: 1 << 30).count
    return .text(status: 200, "\(request.method) \(request.target) \(count)")
}

/// A head of HTTP/1.1.
func head(_ line: String, _ fields: String...) -> String {
    ([line, "Host: x"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
}

/// Waits for a condition that another thread brings about.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<2000 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return condition()
}

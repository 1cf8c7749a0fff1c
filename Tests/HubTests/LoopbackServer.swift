// A tiny HTTP server on this machine that can misbehave as real ones do.

import Foundation
import Glibc

/// What a server was asked.
struct Request: Sendable {
    let path: String
    /// Names in lower case.
    let fields: [String: String]

    /// The first byte asked for.
    var rangeStart: Int? {
        fields["range"].flatMap { Int($0.dropFirst("bytes=".count).prefix { $0 != "-" }) }
    }
}

/// What it answers; `cutAfter` closes the connection after so many bytes of the body.
struct Reply: Sendable {
    var status = 200
    var fields: [String: String] = [:]
    var body: [UInt8] = []
    var cutAfter: Int?
    /// Further lines of the head, as they are.
    var lines: [String] = []
}

/// Answers each connection with one reply.
final class LoopbackServer: @unchecked Sendable {
    let port: UInt16
    private let listener: Int32
    private let lock = NSLock()
    private var seen: [Request] = []

    var requests: [Request] { lock.withLock { seen } }
    var base: String { "http://127.0.0.1:\(port)" }

    init(_ answer: @escaping @Sendable (Request, Int) -> Reply) throws {
        signal(SIGPIPE, SIG_IGN)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = listener
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && listen(socket, 16) == 0
                    && getsockname(socket, $0, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRINUSE) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let connection = accept(socket, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread { [self] in
                    serve(connection, answer)
                    close(connection)
                }
            }
        }
    }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ connection: Int32, _ answer: (Request, Int) -> Reply) {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !text.contains("\r\n\r\n") {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        let lines = text.components(separatedBy: "\r\n")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        let request = Request(
            path: String(lines[0].split(separator: " ").dropFirst().first ?? ""), fields: fields)
        let number = lock.withLock {
            seen.append(request)
            return seen.count
        }
        let reply = answer(request, number)
        var head = "HTTP/1.1 \(reply.status) Whatever\r\nConnection: close\r\n"
        if !reply.lines.contains(where: { $0.hasPrefix("Content-Length:") }) {
            head += "Content-Length: \(reply.body.count)\r\n"
        }
        for (name, value) in reply.fields { head += "\(name): \(value)\r\n" }
        for line in reply.lines { head += line + "\r\n" }
        let body = reply.body.prefix(reply.cutAfter ?? .max)
        var bytes = (Array((head + "\r\n").utf8) + body)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

// Clients that send too much, too slowly, in two meanings, or leave in the middle.

import Foundation
import Synchronization
import Testing

@testable import GraftServer

@Suite struct HostileTests {
    /// The first line of the answer to bytes on a connection of their own.
    private func answer(_ text: String, port: Int) throws -> String {
        let client = try RawClient(port: port)
        client.send(text)
        return client.rest().split(separator: "\r\n").first.map { String($0) } ?? ""
    }

    @Test func longHeadsAreRefused() async throws {
        try await serving(handler: echo) { port in
            let long = String(repeating: "a", count: 20_000)
            try #expect(answer(head("GET /\(long) HTTP/1.1"), port: port).contains(" 414 "))
            let field = "X: " + String(repeating: "a", count: 40_000)
            try #expect(answer(head("GET / HTTP/1.1", field), port: port).contains(" 431 "))
            let fields = (0..<200).map { "X\($0): y\r\n" }.joined()
            try #expect(
                answer("GET / HTTP/1.1\r\nHost: x\r\n\(fields)\r\n", port: port)
                    .contains(" 431 "))
            try #expect(answer(head("GET /a HTTP/1.1", "Connection: close"), port: port) != "")
        }
    }

    @Test func endlessHeadsAreCutOff() async throws {
        try await serving(handler: echo) { port in
            for start in ["GET /", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n"] {
                let client = try RawClient(port: port)
                client.send(start)
                let piece = start.hasSuffix("\r\n") ? "X: yyyyyyyyyyyyyyyyyyyyyyyy\r\n" : "aaaaaaaa"
                let block = String(repeating: piece, count: 8192)
                var sent = 0
                while sent < 1000, client.send(block) { sent += 1 }
                #expect(sent < 1000)
                _ = client.rest()
            }
            try #expect(answer(head("GET /a HTTP/1.1", "Connection: close"), port: port) != "")
        }
    }

    /// Requests that a proxy in front could end at another place than this server.
    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\na",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET\r\n\r\n", "\u{16}\u{3}\u{1}", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
    func requestsWithTwoMeaningsAreRefused(_ text: String) async throws {
        let seen = Mutex<[String]>([])
        let handler: HTTPServer.Handler = { request in
            let answer = try await echo(request)
            seen.withLock { $0.append(request.target) }
            return answer
        }
        try await serving(handler: handler) { port in
            let second = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
            let line = try answer(text + second, port: port)
            #expect(
                ["HTTP/1.1 400", "HTTP/1.0 400", "HTTP/1.1 413", "HTTP/1.1 405"]
                    .contains { line.hasPrefix($0) }, "\(line)")
        }
        #expect(seen.withLock { $0 } == [])
    }

    @Test func slowHeadsAndBodiesAreTimedOut() async throws {
        var limits = ServerLimits()
        limits.headTime = .milliseconds(200)
        limits.bodyTime = .milliseconds(200)
        limits.idleTime = .milliseconds(200)
        try await serving(limits: limits, handler: echo) { port in
            try #expect(answer("GET / HTTP/1.1\r\nX", port: port).contains(" 408 "))
            try #expect(answer("\r\n", port: port).contains(" 408 "))
            try #expect(
                answer(head("PUT / HTTP/1.1", "Content-Length: 9") + "a", port: port)
                    .contains(" 408 "))
            try #expect(answer("", port: port) == "")
        }
    }

    @Test func aByteNowAndThenDoesNotKeepABodyOpen() async throws {
        var limits = ServerLimits()
        limits.bodyTime = .milliseconds(300)
        try await serving(limits: limits, handler: echo) { port in
            let client = try RawClient(port: port)
            client.send(head("PUT / HTTP/1.1", "Content-Length: 100000"))
            var sent = 0
            while sent < 1000, client.send("a") {
                sent += 1
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(sent < 1000)
        }
    }

    @Test func largeBodiesAreRefused() async throws {
        var limits = ServerLimits()
        limits.bodyByteCount = 1000
        let bodyLimit: HTTPServer.BodyLimit = { $0.target == "/big" ? 5000 : 1000 }
        try await serving(limits: limits, bodyLimit: bodyLimit, handler: echo) { port in
            let body = String(repeating: "a", count: 2000)
            func put(_ target: String, _ framing: String, _ body: String) throws -> String {
                try answer(
                    head("PUT \(target) HTTP/1.1", framing, "Connection: close") + body, port: port)
            }
            let chunks = "7d0\r\n\(body)\r\n0\r\n\r\n"
            try #expect(put("/a", "Content-Length: 2000", body).contains(" 413 "))
            try #expect(put("/a", "Transfer-Encoding: chunked", chunks).contains(" 413 "))
            try #expect(put("/big", "Content-Length: 2000", body).contains(" 200 "))
            try #expect(put("/big", "Transfer-Encoding: chunked", chunks).contains(" 200 "))
        }
    }

    @Test func chunksThatAreMostlyExtensionsAreRefused() async throws {
        try await serving(handler: echo) { port in
            let client = try RawClient(port: port)
            client.send(head("PUT / HTTP/1.1", "Transfer-Encoding: chunked") + "1;")
            let block = String(repeating: "x", count: 65_536)
            var sent = 0
            while sent < 1000, client.send(block) { sent += 1 }
            #expect(sent < 1000)
        }
    }

    @Test func clientsThatLeaveFreeTheirPlace() async throws {
        var limits = ServerLimits()
        limits.requestsAtOnce = 4
        let ended = Mutex(0)
        let handler: HTTPServer.Handler = { request in
            guard request.target == "/long" else { return .text(status: 200, "short") }
            return ServerResponse(
                body: .stream(byteCount: nil) { writer in
                    defer { ended.withLock { $0 += 1 } }
                    while true { try await writer.write([UInt8](repeating: 1, count: 65_536)) }
                })
        }
        try await serving(limits: limits, handler: handler) { port in
            for _ in 0..<40 {
                let client = try RawClient(port: port)
                client.send(head("GET /long HTTP/1.1"))
                _ = client.receive(10)
                client.reset()
            }
            try #expect(answer(head("GET / HTTP/1.1", "Connection: close"), port: port) != "")
            #expect(await eventually { ended.withLock { $0 } == 40 })
        }
    }

    @Test func clientsThatDoNotReadAreLeft() async throws {
        var limits = ServerLimits()
        limits.answerTime = .milliseconds(300)
        let ended = Mutex(false)
        let handler: HTTPServer.Handler = { _ in
            ServerResponse(
                body: .stream(byteCount: nil) { writer in
                    defer { ended.withLock { $0 = true } }
                    while true { try await writer.write([UInt8](repeating: 1, count: 65_536)) }
                })
        }
        try await serving(limits: limits, handler: handler) { port in
            let client = try RawClient(port: port, receiveBuffer: 4096)
            client.send(head("GET / HTTP/1.1"))
            #expect(await eventually { ended.withLock { $0 } })
            withExtendedLifetime(client) {}
        }
    }

    @Test func whatBreaksOffIsNotTakenForTheWhole() async throws {
        struct Broken: Error {}
        let handler: HTTPServer.Handler = { request in
            ServerResponse(
                body: .stream(byteCount: request.target == "/length" ? 1_000_000 : nil) { writer in
                    try await writer.write(Array("abc".utf8))
                    if request.target != "/short" { throw Broken() }
                })
        }
        try await serving(handler: handler) { port in
            let chunked = try RawClient(port: port)
            chunked.send(head("GET /chunked HTTP/1.1"))
            #expect(!chunked.rest().hasSuffix("0\r\n\r\n"))
            let length = try RawClient(port: port)
            length.send(head("GET /length HTTP/1.1"))
            #expect(length.rest().hasSuffix("\r\n\r\nabc"))
        }
    }

    @Test func errorsOfHandlersAreNotShown() async throws {
        struct Secret: Error { let text = "secret" }
        let lines = Mutex<[String]>([])
        let log = AccessLog(.text) { line in lines.withLock { $0.append(line) } }
        try await serving(log: log, handler: { _ in throw Secret() }) { port in
            let client = try RawClient(port: port)
            client.send(head("GET /\u{1B}[31m HTTP/1.1", "Connection: close"))
            _ = client.rest()
            client.reset()
            let other = try RawClient(port: port)
            other.send(head("GET / HTTP/1.1", "Connection: close"))
            let text = other.rest()
            #expect(text.contains(" 500 ") && !text.contains("secret"))
        }
        #expect(lines.withLock { $0 }.contains { $0.contains(" 500 ") && $0.contains("Secret") })
        #expect(!lines.withLock { $0 }.joined().contains("\u{1B}"))
    }
}

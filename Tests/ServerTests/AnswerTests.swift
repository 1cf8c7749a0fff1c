// Sound requests: fields, HEAD, ranges, bodies in both directions, pipelines, tokens, health.

import Foundation
import GraftTensors
import Synchronization
import Testing

@testable import GraftServer

@Suite struct AnswerTests {
    @Test func requestsFollowEachOtherOnOneConnection() async throws {
        try await serving(handler: echo) { port in
            let client = try RawClient(port: port)
            for number in 1...3 {
                client.send(head("GET /\(number) HTTP/1.1"))
                let text = client.until("GET /\(number) 0\n")
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(text.contains("\r\nContent-Length: 9\r\n"))
                #expect(text.contains("\r\nDate: "))
            }
            client.send(head("GET /last HTTP/1.1", "Connection: close"))
            #expect(client.rest().contains("\r\nConnection: close\r\n"))
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await serving(handler: echo) { port in
            let client = try RawClient(port: port)
            let many = (0..<500).map { head("GET /\($0) HTTP/1.1") }.joined()
            client.send(many + head("GET /end HTTP/1.1", "Connection: close"))
            let bodies = client.rest().split(separator: "\r\n").filter { $0.hasPrefix("GET ") }
                .map { $0.split(separator: " ")[1] }
            #expect(bodies == (0..<500).map { "/\($0)" } + ["/end"])
        }
    }

    @Test func headHasTheLengthAndNoBody() async throws {
        try await serving(handler: echo) { port in
            let client = try RawClient(port: port)
            client.send(
                head("HEAD /a HTTP/1.1") + head("GET /b HTTP/1.1", "Connection: close"))
            let text = client.rest()
            #expect(text.contains("Content-Length: 10\r\n"))
            #expect(!text.contains("HEAD /a"))
            #expect(text.hasSuffix("GET /b 0\n"))
        }
    }

    @Test func oldClientsAreAnsweredWithoutChunks() async throws {
        let handler: HTTPServer.Handler = { _ in
            ServerResponse(
                body: .stream(byteCount: nil) { writer in
                    for _ in 0..<3 { try await writer.write(Array("abc".utf8)) }
                })
        }
        try await serving(handler: handler) { port in
            let old = try RawClient(port: port)
            old.send("GET / HTTP/1.0\r\n\r\n")
            let text = old.rest()
            #expect(text.hasSuffix("\r\n\r\nabcabcabc") && !text.contains("chunked"))
            let new = try RawClient(port: port)
            new.send(head("HEAD / HTTP/1.1"))
            #expect(new.rest().hasSuffix("\r\n\r\n"))
            let get = try RawClient(port: port)
            get.send(head("GET / HTTP/1.1", "Connection: close"))
            #expect(get.rest().hasSuffix("\r\n3\r\nabc\r\n0\r\n\r\n"))
        }
    }

    @Test(arguments: ["Content-Length: 400000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"])
    func bodiesAreReadInPieces(_ framing: String) async throws {
        try await serving(handler: echo) { port in
            let client = try RawClient(port: port)
            client.send("PUT /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing)
            let piece = [UInt8](repeating: 7, count: 1000)
            for _ in 0..<400 {
                if framing.contains("chunked") { client.send("3e8\r\n") }
                client.send(piece)
                if framing.contains("chunked") { client.send("\r\n") }
            }
            if framing.contains("chunked") { client.send("0\r\n\r\n") }
            #expect(client.rest().hasSuffix("PUT /x 400000\n"))
        }
    }

    @Test func continueIsSentWhenTheHandlerReads() async throws {
        let handler: HTTPServer.Handler = { request in
            request.target == "/no" ? .text(status: 403, "no") : try await echo(request)
        }
        try await serving(handler: handler) { port in
            let client = try RawClient(port: port)
            client.send(head("PUT /yes HTTP/1.1", "Expect: 100-continue", "Content-Length: 3"))
            #expect(client.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            client.send("abc")
            #expect(client.until("3\n").contains("200 OK"))
            client.send(head("PUT /no HTTP/1.1", "Expect: 100-continue", "Content-Length: 3"))
            #expect(client.rest().hasPrefix("HTTP/1.1 403 Forbidden"))
        }
    }

    @Test func anUnreadBodyDoesNotEndTheConnection() async throws {
        try await serving(handler: { .text(status: 404, $0.target) }) { port in
            let client = try RawClient(port: port)
            client.send(head("POST /a HTTP/1.1", "Content-Length: 100000"))
            client.send([UInt8](repeating: 1, count: 100_000))
            #expect(client.until("/a\n").contains("404"))
            client.send(head("GET /b HTTP/1.1", "Connection: close"))
            #expect(client.rest().hasSuffix("/b\n"))
        }
    }

    @Test func filesAreSentInParts() async throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString)").path
        defer { unlink(path) }
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let handler: HTTPServer.Handler = {
            .file(try ServedFile(path), for: $0, fields: ["ETag": "\"a\""])
        }
        try await serving(handler: handler) { port in
            func ask(_ fields: String...) throws -> (String, [UInt8]) {
                let client = try RawClient(port: port)
                let all = fields.map { $0 + "\r\n" }.joined()
                client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(all)\r\n")
                var found: [UInt8] = []
                while let piece = client.receive(), !piece.isEmpty { found += piece }
                let end = try #require(found.firstRange(of: Array("\r\n\r\n".utf8)))
                let top = String(decoding: found[..<end.lowerBound], as: UTF8.self)
                return (top, Array(found[end.upperBound...]))
            }
            try #expect(ask().1 == bytes)
            let part = try ask("Range: bytes=500000-")
            #expect(part.0.contains("206 Partial") && part.1 == Array(bytes[500_000...]))
            #expect(part.0.contains("Content-Range: bytes 500000-999999/1000000"))
            let beyond = try ask("Range: bytes=1000000-")
            #expect(beyond.0.contains("416") && beyond.0.contains("bytes */1000000"))
            try #expect(ask("Range: bytes=1-2", "If-Range: \"b\"").1.count == 1_000_000)
            try #expect(ask("Range: bytes=1-2", "If-Range: \"a\"").1 == Array(bytes[1...2]))
        }
        for path in ["/dev/null", "/"] {
            #expect(throws: FileError("open", path, code: EINVAL)) { try ServedFile(path) }
        }
    }

    @Test func rangesAreRead() {
        #expect(ByteRange("bytes=0-4", of: 10) == .part(0..<5))
        #expect(ByteRange("bytes=5-", of: 10) == .part(5..<10))
        #expect(ByteRange("bytes=-3", of: 10) == .part(7..<10))
        #expect(ByteRange("bytes=-30", of: 10) == .part(0..<10))
        #expect(ByteRange("bytes=8-99", of: 10) == .part(8..<10))
        #expect(ByteRange("bytes=10-", of: 10) == .unsatisfiable)
        #expect(ByteRange("bytes=-0", of: 10) == .unsatisfiable)
        #expect(ByteRange("bytes=0-", of: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=0-\(Int.max)", of: 10) == .part(0..<10))
        for text in [
            "", "bytes=", "bytes=-", "bytes=5-4", "bytes=1-2,4-5", "lines=1-2", "bytes=a-b",
            "bytes=99999999999999999999-", "bytes=--5", "bytes=+1-2",
        ] {
            #expect(ByteRange(text, of: 10) == .whole, "\(text)")
        }
    }

    @Test func tokensDecideAndHealthNeedsNone() async throws {
        var tokens = AccessTokens(admitsAnonymous: false)
        tokens.add("secret-of-ann-0123", for: TokenHolder(name: "ann", mayWrite: true))
        tokens.add("secret-of-bob-4567", for: TokenHolder(name: "bob", mayWrite: false))
        let handler: HTTPServer.Handler = {
            .text(status: 200, "\($0.holder?.name ?? "-") \($0.holder?.mayWrite ?? false)")
        }
        try await serving(tokens: tokens, handler: handler) { port in
            func ask(_ field: String?, _ target: String = "/") throws -> String {
                let client = try RawClient(port: port)
                let fields = ["Connection: close"] + (field.map { ["Authorization: " + $0] } ?? [])
                client.send(
                    "GET \(target) HTTP/1.1\r\nHost: x\r\n"
                        + fields.map { $0 + "\r\n" }.joined() + "\r\n")
                return client.rest()
            }
            try #expect(ask("Bearer secret-of-ann-0123").hasSuffix("ann true\n"))
            try #expect(ask("bearer secret-of-bob-4567").hasSuffix("bob false\n"))
            for wrong in [
                nil, "", "Bearer ", "Bearer secret-of-ann-012", "Bearer secret-of-ann-01234",
                "Basic secret-of-ann-0123", "Bearer secret-of-ann-0123secret-of-ann-0123",
            ] {
                let text = try ask(wrong)
                #expect(text.hasPrefix("HTTP/1.1 401 "), "\(wrong ?? "none")")
                #expect(text.contains("WWW-Authenticate: Bearer\r\n"))
            }
            let health = try ask(nil, "/health")
            #expect(health.contains("200 OK") && health.contains("\"status\":\"ok\""))
        }
    }

    @Test func whoMayComeWithoutATokenStillShowsARightOneOrNone() {
        var tokens = AccessTokens(admitsAnonymous: true)
        tokens.add("secret-of-ann-0123", for: TokenHolder(name: "ann", mayWrite: true))
        #expect(tokens.judge(nil) == .allowed(nil))
        #expect(tokens.judge("Bearer wrong") == .refused)
        #expect(AccessTokens.none.judge("Bearer anything") == .allowed(nil))
    }

    @Test func theLogHasALinePerRequest() async throws {
        let lines = Mutex<[String]>([])
        let log = AccessLog(.json) { line in lines.withLock { $0.append(line) } }
        try await serving(log: log, handler: echo) { port in
            let client = try RawClient(port: port)
            client.send(
                head("GET /a?token=secret HTTP/1.1", "User-Agent: x\"y")
                    + head("GET /b HTTP/1.1", "Connection: close"))
            _ = client.rest()
        }
        let found = try lines.withLock { $0 }.map {
            try JSONDecoder().decode(AccessRecord.self, from: Data($0.utf8))
        }
        #expect(found.map(\.path) == ["/a", "/b"])
        #expect(found.map(\.status) == [200, 200])
        #expect(found.first?.bytes == "GET /a?token=secret 0\n".utf8.count)
        #expect(found.first?.client == "127.0.0.1" && found.first?.agent == "x\"y")
    }
}

// Segments, faults of servers in the middle of a file, limits, and repositories of a hub.

import Foundation
import GraftCache
import GraftHub
import Testing

private let large: [UInt8] = (0..<12_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

private func withFolder(_ body: (String) async throws -> Void) async throws {
    let root = NSTemporaryDirectory() + "graft-transfer-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: root) }
    try await body(root)
}

/// The part of `content` that a request asks for.
private func part(_ content: [UInt8], _ request: Request, etag: String = "\"one\"") -> Reply {
    guard let text = request.fields["range"], let start = request.rangeStart else {
        return Reply(fields: ["ETag": etag], body: content)
    }
    let end = text.split(separator: "-").dropFirst().first.flatMap { Int($0) } ?? content.count - 1
    return Reply(
        status: 206,
        fields: ["ETag": etag, "Content-Range": "bytes \(start)-\(end)/\(content.count)"],
        body: Array(content[start...end]))
}

@Test func largeFilesComeInSegments() async throws {
    // The first answer breaks off: the rest is large enough for several connections.
    let server = try LoopbackServer { request, number in
        var reply = part(large, request)
        if number == 1 { reply.cutAfter = 1_000_000 }
        return reply
    }
    defer { server.stop() }
    try await withFolder { root in
        var options = FetchOptions()
        options.connections = 3
        let fetched = try await Hub(cache: Cache(root: root), options: options)
            .fetch(server.base + "/a.bin")
        #expect(FileManager.default.contents(atPath: fetched.path).map { Array($0) } == large)
        #expect(Set(server.requests.compactMap(\.rangeStart)).count > 1)
    }
}

@Test func segmentsThatBreakOffAreFetchedAgain() async throws {
    let server = try LoopbackServer { request, number in
        var reply = part(large, request)
        if number % 2 == 1, number < 9 { reply.cutAfter = reply.body.count / 2 }
        return reply
    }
    defer { server.stop() }
    try await withFolder { root in
        let fetched = try await Hub(cache: Cache(root: root)).fetch(server.base + "/a.bin")
        #expect(FileManager.default.contents(atPath: fetched.path).map { Array($0) } == large)
    }
}

@Test func expiredAddressesAreResolvedAnew() async throws {
    // The store refuses its first signed address once it gave the first part.
    let server = try LoopbackServer { request, number in
        if request.path == "/file" {
            return Reply(status: 302, fields: ["Location": "/signed?number=\(number)"])
        }
        if request.path == "/signed?number=1", request.rangeStart != nil {
            return Reply(status: 403)
        }
        var reply = part(large, request)
        if request.path == "/signed?number=1" { reply.cutAfter = 5_000_000 }
        return reply
    }
    defer { server.stop() }
    try await withFolder { root in
        let fetched = try await Hub(cache: Cache(root: root)).fetch(server.base + "/file")
        #expect(FileManager.default.contents(atPath: fetched.path).map { Array($0) } == large)
        #expect(server.requests.filter { $0.path == "/file" }.count > 1)
    }
}

@Test func aBodyInAnotherCodingIsDecodedWhereADigestProvesIt() async throws {
    // `gzip` of "graft\n", without a time in it.
    let coded: [UInt8] = [
        0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3, 0x4B, 0x2F, 0x4A, 0x4C, 0x2B, 0xE1, 2, 0, 0xF6, 0x5F,
        0x67, 0x43, 6, 0, 0, 0,
    ]
    let server = try LoopbackServer { request, _ in
        switch request.path {
        case "/a.txt", "/a.txt?2", "/a.gz": Reply(fields: ["Content-Encoding": "gzip"], body: coded)
        case "/torn.txt":
            Reply(fields: ["Content-Encoding": "gzip"], body: Array(coded.prefix(14)))
        default: Reply(fields: ["Content-Encoding": "br"], body: [1, 2, 3])
        }
    }
    defer { server.stop() }
    try await withFolder { root in
        let hub = Hub(cache: Cache(root: root))
        let digest = "sha256:" + ContentHasher.sha256(of: "graft\n")
        let fetched = try await hub.fetch(server.base + "/a.txt", digest: digest)
        #expect(FileManager.default.contents(atPath: fetched.path) == Data("graft\n".utf8))
        let refused: [(path: String, digest: String?, word: String)] = [
            ("/a.gz", digest, "`gzip`"), ("/a.txt?2", nil, "`gzip`"),
            ("/torn.txt", digest, "expected"), ("/b", digest, "`br`"),
        ]
        for (path, digest, word) in refused {
            let error = await #expect(throws: HubError.self) {
                _ = try await hub.fetch(server.base + path, digest: digest)
            }
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
    }
}

@Test func retryAfterADateIsObeyed() async throws {
    let server = try LoopbackServer { request, number in
        number == 1
            ? Reply(status: 429, fields: ["Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"])
            : part(large, request)
    }
    defer { server.stop() }
    try await withFolder { root in
        _ = try await Hub(cache: Cache(root: root)).fetch(server.base + "/a.bin")
        #expect(server.requests.count > 1)
    }
}

@Test(arguments: [
    ("500", 500), ("500k", 500_000), ("2.5MB", 2_500_000), ("1GiB", 1 << 30), ("1Ki", 1024),
])
func ratesAreRead(text: String, bytes: Int) {
    #expect(parsedByteCount(text) == bytes)
}

@Test(arguments: ["", "k", "1x", "-1", "1kk", "MB"])
func otherRatesAreNot(text: String) {
    #expect(parsedByteCount(text) == nil)
}

@Test(arguments: [
    "../a", "a/../b", "/a", "a//b", "a/./b", "a\\..\\b", "C:\\a", "c:a", "a/b/", "", "a\nb",
    String(repeating: "x", count: 256),
])
func pathsThatLeadOutAreNotSafe(path: String) {
    #expect(!RelativePath.isSafe(path))
}

@Test func namesFollowTheRulesOfTheHub() {
    #expect(HubName(.model, "org/name-1.0_x")?.folderName == "models--org--name-1.0_x")
    #expect(HubName(.dataset, "squad")?.description == "hf://datasets/squad")
    for id in ["", "a/b/c", "-a", "a.", "a--b", "a..b", "a.git", "a b", "../a"] {
        #expect(HubName(.model, id) == nil)
    }
}

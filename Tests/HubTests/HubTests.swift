// Fetching from servers that break off, change, lie and redirect.

import Foundation
import GraftCache
import GraftHub
import Testing

private let content: [UInt8] = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

/// A cache in a new folder, removed at the end.
private func withCache(_ body: (Cache) async throws -> Void) async throws {
    let root = NSTemporaryDirectory() + "graft-hub-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: root) }
    try await body(Cache(root: root))
}

private func files(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
}

private func bytes(_ path: String) -> [UInt8]? {
    FileManager.default.contents(atPath: path).map { Array($0) }
}

/// The rest of the content from where a request asks, as an honest server gives it.
private func honest(_ request: Request) -> Reply {
    guard let start = request.rangeStart else {
        return Reply(fields: ["ETag": "\"one\""], body: content)
    }
    return Reply(
        status: 206,
        fields: [
            "ETag": "\"one\"",
            "Content-Range": "bytes \(start)-\(content.count - 1)/\(content.count)",
        ], body: Array(content[start...]))
}

@Test func secondFetchAsksNobody() async throws {
    let server = try LoopbackServer { request, _ in honest(request) }
    defer { server.stop() }
    try await withCache { cache in
        let reference = server.base + "/weights.h5"
        let first = try await Hub(cache: cache).fetch(reference)
        let second = try await Hub(offline: true, cache: cache).fetch(reference)
        #expect(!first.fromCache && second.fromCache)
        #expect(first.path == second.path && first.path.hasSuffix("/weights.h5"))
        #expect(bytes(first.path) == content)
        #expect(server.requests.count == 1)
        #expect(files(cache.root + "/partial").isEmpty)
    }
}

@Test func brokenOffBodyIsResumed() async throws {
    let server = try LoopbackServer { request, number in
        var reply = honest(request)
        if number == 1 { reply.cutAfter = 100_000 }
        return reply
    }
    defer { server.stop() }
    try await withCache { cache in
        let fetched = try await Hub(cache: cache).fetch(server.base + "/a.bin")
        #expect(bytes(fetched.path) == content)
        #expect(server.requests.count == 2)
        #expect(server.requests.last?.rangeStart == 100_000)
        #expect(server.requests.last?.fields["if-range"] == "\"one\"")
    }
}

@Test func changedFileStartsAnew() async throws {
    // The file changed between two attempts: the server ignores the range and sends it all.
    let server = try LoopbackServer { request, number in
        number == 1
            ? Reply(
                fields: ["ETag": "\"old\""], body: [UInt8](repeating: 7, count: 50_000),
                cutAfter: 20_000)
            : Reply(fields: ["ETag": "\"one\""], body: content)
    }
    defer { server.stop() }
    try await withCache { cache in
        let fetched = try await Hub(cache: cache).fetch(server.base + "/a.bin")
        #expect(bytes(fetched.path) == content)
    }
}

@Test func wrongDigestLeavesNothing() async throws {
    let server = try LoopbackServer { request, _ in honest(request) }
    defer { server.stop() }
    try await withCache { cache in
        let wrong = "sha256:" + String(repeating: "0", count: 64)
        let right = "sha256:" + ContentHasherProbe.sha256(content)
        let url = server.base + "/a.bin"
        await #expect(throws: HubError.wrongDigest(url: url, expected: wrong, found: right)) {
            _ = try await Hub(cache: cache).fetch(url, digest: wrong)
        }
        #expect(files(cache.root + "/partial").isEmpty)
        #expect(files(cache.root + "/blobs").isEmpty && cache.entries().isEmpty)
    }
}

@Test func digestsOfEveryKindAreChecked() async throws {
    let server = try LoopbackServer { request, _ in honest(request) }
    defer { server.stop() }
    try await withCache { cache in
        let right = ContentHasherProbe.sha256(content)
        let hub = Hub(cache: cache)
        _ = try await hub.fetch(server.base + "/a#sha256=" + right)
        _ = try await hub.fetch(server.base + "/b", digest: "sha256-prefix:" + right.prefix(8))
        let wrong = "md5:" + String(repeating: "a", count: 32)
        let error = await #expect(throws: HubError.self) {
            _ = try await hub.fetch(server.base + "/c#md5=" + String(repeating: "a", count: 32))
        }
        guard case .wrongDigest(_, wrong, _) = error else {
            Issue.record("expected another MD5, found \(String(describing: error))")
            return
        }
        await #expect(throws: CacheError.digestSyntax("crc32:00")) {
            _ = try await hub.fetch(server.base + "/d", digest: "crc32:00")
        }
    }
}

@Test func twoFetchesAtOnceDownloadOnce() async throws {
    let server = try LoopbackServer { request, _ in
        Thread.sleep(forTimeInterval: 0.05)
        return honest(request)
    }
    defer { server.stop() }
    try await withCache { cache in
        let reference = server.base + "/a.bin"
        async let one = Hub(cache: cache).fetch(reference)
        async let two = Hub(cache: cache).fetch(reference)
        let paths = try await [one.path, two.path]
        #expect(paths[0] == paths[1])
        #expect(server.requests.count == 1)
    }
}

@Test func busyServersAreAskedAgainAndRefusalsAreExplained() async throws {
    let server = try LoopbackServer { request, number in
        if request.path == "/gone" { return Reply(status: 404) }
        return number == 1 ? Reply(status: 503, fields: ["Retry-After": "0"]) : honest(request)
    }
    defer { server.stop() }
    try await withCache { cache in
        _ = try await Hub(cache: cache).fetch(server.base + "/a")
        #expect(server.requests.count == 2)
        let gone = HubError.refused(
            HubError.Refused(url: server.base + "/gone", host: "127.0.0.1", status: 404))
        await #expect(throws: gone) {
            _ = try await Hub(cache: cache).fetch(server.base + "/gone")
        }
        #expect(!gone.isRetryable)
        #expect(server.requests.count == 3)
    }
}

@Test func redirectsAreFollowedButNotForEver() async throws {
    let server = try LoopbackServer { request, _ in
        switch request.path {
        case "/moved": Reply(status: 302, fields: ["Location": "/a.bin"])
        case "/loop": Reply(status: 302, fields: ["Location": "/loop"])
        case "/away": Reply(status: 302, fields: ["Location": "http://example.org/x"])
        default: honest(request)
        }
    }
    defer { server.stop() }
    try await withCache { cache in
        let hub = Hub(cache: cache)
        let moved = try await hub.fetch(server.base + "/moved")
        #expect(bytes(moved.path) == content)
        let loop = server.base + "/loop"
        await #expect(throws: HubError.redirect(.circle(url: loop, again: loop))) {
            _ = try await hub.fetch(loop)
        }
        let outside = HubError.insecure(
            url: "http://example.org/x", scheme: "http", host: "example.org")
        await #expect(throws: outside) { _ = try await hub.fetch(server.base + "/away") }
        await #expect(throws: outside) { _ = try await hub.fetch("http://example.org/x") }
    }
}

@Test func removingFreesWhatNobodyNeeds() async throws {
    let server = try LoopbackServer { request, _ in honest(request) }
    defer { server.stop() }
    try await withCache { cache in
        let one = try await Hub(cache: cache).fetch(server.base + "/a.bin")
        _ = try await Hub(cache: cache).fetch(server.base + "/x/a.bin")
        #expect(try cache.remove(server.base + "/a.bin") == 0)
        #expect(try cache.remove(server.base + "/x/a.bin") == content.count)
        #expect(bytes(one.path) == nil)
    }
}

/// The SHA-256 as the library itself sums it, over a file.
private enum ContentHasherProbe {
    static func sha256(_ content: [UInt8]) -> String {
        var hasher = ContentHasher()
        content.withUnsafeBytes { hasher.update($0) }
        return hasher.finalize().sha256
    }
}

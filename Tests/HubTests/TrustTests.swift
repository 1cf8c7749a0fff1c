// Bytes that are wrong do not stay, and what only the sender may know is not written.

import Foundation
import GraftCache
import Testing

@testable import GraftHub

private let right: [UInt8] = Array("right bytes".utf8)
private let wrong: [UInt8] = Array("wrong bytes".utf8)

@Test(arguments: [true, false])
func wrongBytesOfAMirrorAreReplaced(usesLinks: Bool) async throws {
    let hub = SmallHub(files: [("w.txt", right)])
    try await withHub { request, number in
        // At first a mirror with names of its own; the hub later.
        guard number <= 2, request.path.contains("/resolve/") else { return hub.answer(request) }
        return Reply(
            fields: ["X-Repo-Commit": commitOfTests, "ETag": "\"opaque\""], body: wrong)
    } _: { _, cache, options in
        let library = Hub(cache: cache, options: options)
        let first = try await library.fetch("hf://acme/tiny/w.txt")
        #expect(FileManager.default.contents(atPath: first.path) == Data(wrong))
        if !usesLinks {
            // As caches without links have them, and as `cp -L` leaves them.
            try FileManager.default.removeItem(atPath: first.path)
            try Data(wrong).write(to: URL(fileURLWithPath: first.path))
        }
        let found = try await library.fetchRepository("hf://acme/tiny")
        #expect(FileManager.default.contents(atPath: found.path + "/w.txt") == Data(right))
        let again = try await library.fetchRepository("hf://acme/tiny")
        #expect(again.files.allSatisfy { $0.fromCache })
    }
}

@Test func verifyingUsesTheListing() async throws {
    let hub = SmallHub(files: [("v.txt", [1]), ("w.txt", right)])
    try await withHub { request, number in
        guard number <= 2, request.path.contains("/resolve/") else { return hub.answer(request) }
        return Reply(
            fields: ["X-Repo-Commit": commitOfTests, "ETag": "\"opaque\""], body: wrong)
    } _: { server, cache, options in
        let library = Hub(cache: cache, options: options)
        _ = try await library.fetch("hf://acme/tiny/w.txt")
        var other = options
        other.include = ["v.txt"]
        _ = try await Hub(cache: cache, options: other).fetchRepository("hf://acme/tiny")
        let inventory = Inventory(cache: cache, hub: HubScanner(root: options.hubRoot))
        var verification = Verification(inventory.items, of: inventory)
        verification.run()
        let check = try #require(verification.checks.first { $0.name == "w.txt" })
        #expect(
            check.outcome
                == .damaged(
                    expected: "git-sha1:" + ContentHasher.gitBlob(of: right),
                    found: "git-sha1:" + ContentHasher.gitBlob(of: wrong)))
        // By its commit, without a request, it is not handed out either.
        let before = server.requests.count
        let fetched = try await library.fetch("hf://acme/tiny@\(commitOfTests)/w.txt")
        #expect(FileManager.default.contents(atPath: fetched.path) == Data(right))
        #expect(server.requests.count > before)
    }
}

@Test func aPartThatChangedAtItsServerStartsOver() async throws {
    let (old, new): ([UInt8], [UInt8]) = (
        .init(repeating: 1, count: 3_000_000), .init(repeating: 2, count: 3_000_000)
    )
    // It takes no notice of `If-Range`.
    let server = try LoopbackServer { request, number in
        let (bytes, tag) = number == 1 ? (old, "\"old\"") : (new, "\"new\"")
        guard let start = request.rangeStart else {
            return Reply(
                fields: ["ETag": tag], body: bytes, cutAfter: number == 1 ? 1_500_000 : nil)
        }
        return Reply(
            status: 206,
            fields: [
                "ETag": tag, "Content-Range": "bytes \(start)-\(bytes.count - 1)/\(bytes.count)",
            ], body: Array(bytes[start...]))
    }
    defer { server.stop() }
    let root = NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: root) }
    let fetched = try await Hub(cache: Cache(root: root)).fetch(server.base + "/w.bin")
    #expect(FileManager.default.contents(atPath: fetched.path) == Data(new))
}

@Test(arguments: [
    ("w.h5", "<!DOCTYPE html><html>login</html>", "web page"),
    ("w.safetensors", "\n<!-- portal --><HTML><body>", "web page"),
    ("download", "<html>scan</html>", "web page"),
    ("w.onnx", "please log in", "web page"),
    (
        "w.bin",
        "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "a", count: 64))\n"
            + "size 4123456\n", "Git LFS pointer of"
    ),
])
func impostorsAreNotKept(name: String, text: String, word: String) async throws {
    let server = try LoopbackServer { _, _ in
        Reply(fields: ["Content-Type": "text/html; charset=utf-8"], body: Array(text.utf8))
    }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    let error = await #expect(throws: HubError.self) {
        _ = try await Hub(cache: cache).fetch("\(server.base)/\(name)")
    }
    #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    #expect(cache.entries().isEmpty && Files.names(in: cache.root + "/partial").isEmpty)
    #expect(cache.firstSeen("\(server.base)/\(name)") == nil)
}

@Test(arguments: [("page.html", "<html></html>"), ("w.bin", "GRAF\0<html>"), ("a.txt", "<html>")])
func whatIsItselfIsKept(name: String, text: String) async throws {
    let server = try LoopbackServer { _, _ in
        Reply(fields: ["Content-Type": "text/html"], body: Array(text.utf8))
    }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    let fetched = try await Hub(cache: cache).fetch("\(server.base)/\(name)")
    #expect(fetched.byteCount == text.utf8.count)
}

@Test func aForcedFetchTakesWhatIsThereNow() async throws {
    let server = try LoopbackServer { _, number in Reply(body: [UInt8(number)]) }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    var options = FetchOptions()
    options.isForced = true
    let address = server.base + "/w.bin"
    _ = try await Hub(cache: cache).fetch(address)
    let forced = try await Hub(cache: cache, options: options).fetch(address)
    #expect(FileManager.default.contents(atPath: forced.path) == Data([2]))
    #expect(try await Hub(cache: cache).fetch(address).path == forced.path)
    // What is there now is what has to be there from now on.
    _ = try cache.remove(address)
    await #expect(throws: CacheError.self) { _ = try await Hub(cache: cache).fetch(address) }
}

@Test func answersThatAreNoFileAreRefused() async throws {
    let server = try LoopbackServer { request, _ in
        switch request.path {
        case "/204": Reply(status: 204)
        case "/part":
            Reply(status: 206, fields: ["Content-Range": "bytes 0-2/10"], body: [1, 2, 3])
        case "/299": Reply(status: 299, body: [1])
        default: Reply(body: [1], lines: ["Content-Length: 9223372036854775807"])
        }
    }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    let base = server.base
    let causes: [(path: String, cause: HubError)] = [
        ("/204", .unexpectedStatus(url: base + "/204", status: 204)),
        ("/part", .unexpectedPart(url: base + "/part", range: "bytes 0-2/10")),
        ("/299", .unexpectedStatus(url: base + "/299", status: 299)),
        ("/long", .brokenLength(url: base + "/long", "9223372036854775807")),
    ]
    for (path, cause) in causes {
        await #expect(throws: cause) { _ = try await Hub(cache: cache).fetch(base + path) }
    }
    #expect(cache.entries().isEmpty)
}

@Test func storesThatWantRangesAreAskedForThem() async throws {
    let bytes = [UInt8](repeating: 5, count: 9_000_000)
    let server = try LoopbackServer { request, _ in
        guard let start = request.rangeStart, let text = request.fields["range"] else {
            return Reply(status: 400)
        }
        let end = text.split(separator: "-").dropFirst().first.flatMap { Int($0) }
        let part = bytes[start...min(end ?? bytes.count - 1, bytes.count - 1)]
        return Reply(
            status: 206,
            fields: [
                "ETag": "\"one\"",
                "Content-Range": "bytes \(start)-\(part.endIndex - 1)/\(bytes.count)",
            ], body: Array(part))
    }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    let fetched = try await Hub(cache: cache).fetch(server.base + "/large.bin")
    #expect(FileManager.default.contents(atPath: fetched.path) == Data(bytes))
}

@Test func aWaitOfHoursEndsAtOnce() async throws {
    try await withHub { _, _ in
        Reply(
            status: 429,
            fields: [
                "RateLimit": "\"api\";r=0;t=7200",
                "RateLimit-Policy": "\"fixed window\";\"api\";q=500;w=300",
            ])
    } _: { server, cache, options in
        let error = await #expect(throws: HubError.self) {
            _ = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
        }
        #expect(error?.message.contains("`api`: 500 per 300 s") == true)
        #expect(error?.message.contains("7201 s") == true && server.requests.count == 1)
    }
}

@Test func refusalsFallBackToWhatIsComplete() async throws {
    let hub = SmallHub(files: [("a.txt", [1])])
    for status in [401, 402, 403, 404] {
        let refuses = Mutexed(false)
        try await withHub { request, _ in
            refuses.value ? Reply(status: status) : hub.answer(request)
        } _: { _, cache, options in
            var options = options
            options.token = "hf_secret"
            let library = Hub(cache: cache, options: options)
            _ = try await library.fetchRepository("hf://acme/tiny")
            refuses.value = true
            let found = try await library.fetchRepository("hf://acme/tiny")
            #expect(found.completeness == .complete && found.warnings.count == 1)
            if status == 401 { #expect(found.warnings[0].contains("`--token`")) }
            #expect(!found.warnings[0].contains("hf_secret"))
            _ = try FileManager.default.removeItem(atPath: found.path + "/a.txt")
            await #expect(throws: HubError.self) {
                _ = try await library.fetchRepository("hf://acme/tiny")
            }
        }
    }
}

/// A value that a server's thread and a test share.
final class Mutexed: @unchecked Sendable {
    private let lock = NSLock()
    private var held: Bool
    init(_ value: Bool) { held = value }
    var value: Bool {
        get { lock.withLock { held } }
        set { lock.withLock { held = newValue } }
    }
}

@Test func secretsOfAddressesAreSentAndNotKept() async throws {
    let server = try LoopbackServer { request, _ in
        request.fields["authorization"] == "Basic dXNlcjpzM2NyZXQ="
            ? Reply(body: [1]) : Reply(status: 401)
    }
    defer { server.stop() }
    let cache = Cache(root: NSTemporaryDirectory() + "graft-trust-" + UUID().uuidString)
    defer { try? FileManager.default.removeItem(atPath: cache.root) }
    let address =
        "http://user:s3cret@127.0.0.1:\(server.port)/w.bin?id=1&X-Amz-Signature=t0psecret"
    let fetched = try await Hub(cache: cache).fetch(address)
    #expect(!fetched.reference.contains("s3cret") && !fetched.reference.contains("t0psecret"))
    #expect(try await Hub(offline: true, cache: cache).fetch(address).fromCache)
    let files =
        FileManager.default.enumerator(atPath: cache.root)?.compactMap { $0 as? String } ?? []
    for file in files {
        let text = FileManager.default.contents(atPath: "\(cache.root)/\(file)") ?? Data()
        #expect(!String(decoding: text, as: UTF8.self).contains("s3cret"), "\(file)")
        #expect(!String(decoding: text, as: UTF8.self).contains("t0psecret"), "\(file)")
    }
    let error = await #expect(throws: HubError.self) {
        _ = try await Hub(cache: cache).fetch("http://a:s3cret@127.0.0.1:\(server.port)/x.bin")
    }
    #expect(error.map { !"\($0.message)\($0.hint ?? "")".contains("s3cret") } == true)
}

@Test func aMirrorThatSendsItsClientsToTheHubIsObeyed() throws {
    var http = HTTP()
    http.endpoint = try Location("https://mirror.example.org/prefix")
    let start = try Location("https://mirror.example.org/prefix/api/x")
    var redirects = Redirects(start)
    let other = try redirects.next("https://huggingface.co/api/y", of: start, http)
    #expect(other.text == "https://mirror.example.org/prefix/api/y")
    let hub = try redirects.next("https://huggingface.co/api/y", of: other, http)
    #expect(hub.text == "https://huggingface.co/api/y")
    let circle = HubError.redirect(
        .circle(url: start.shown, again: "https://huggingface.co/api/y"))
    #expect(throws: circle) { try redirects.next("https://huggingface.co/api/y", of: hub, http) }
    #expect(throws: HubError.redirect(.downgrade(url: start.shown))) {
        try redirects.next("http://127.0.0.1/", of: start, http)
    }
}

@Test func plainHTTPIsAllowedByHost() throws {
    func insecure(_ scheme: String, _ host: String) -> HubError {
        .insecure(url: "\(scheme)://\(host)/x", scheme: scheme, host: host)
    }
    #expect(throws: insecure("http", "hub.lan")) { try Location("http://hub.lan/x") }
    try PlainHTTP.$hosts.withValue(["hub.lan", "other.lan:8080", "fd00::1"]) {
        let allowed = try [
            "http://hub.lan:9/x", "http://OTHER.lan:8080/x", "http://[fd00::1]/x",
        ].map { try Location($0) }
        #expect(allowed.map(\.port) == ["9", "8080", "80"])
        #expect(throws: insecure("http", "other.lan")) { try Location("http://other.lan/x") }
        #expect(throws: insecure("http", "hub.lan.evil")) { try Location("http://hub.lan.evil/x") }
        #expect(throws: insecure("ftp", "hub.lan")) { try Location("ftp://hub.lan/x") }
    }
}

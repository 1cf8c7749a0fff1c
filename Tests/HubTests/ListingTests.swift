// Listings of repositories: complete whatever form their pages have, or refused.

import Foundation
import GraftCache
import Testing

@testable import GraftHub

let commitOfTests = String(repeating: "c", count: 40)

/// A repository `acme/tiny` of small files that are not in large-file storage.
struct SmallHub: Sendable {
    var files: [(path: String, bytes: [UInt8])]
    var isListed = true
    var siblings: [String] = []

    static func entry(_ path: String, _ bytes: [UInt8]) -> [String: Any] {
        [
            "type": "file", "path": path, "size": bytes.count,
            "oid": ContentHasher.gitBlob(of: bytes),
        ]
    }

    static func json(_ value: Any) -> [UInt8] {
        (try? JSONSerialization.data(withJSONObject: value)).map { Array($0) } ?? []
    }

    func answer(_ request: Request) -> Reply {
        let path = request.path.removingPercentEncoding ?? ""
        if path.hasPrefix("/api/models/acme/tiny/revision/") {
            return Reply(
                body: Self.json([
                    "sha": commitOfTests, "siblings": siblings.map { ["rfilename": $0] },
                ]))
        }
        if path.hasPrefix("/api/models/acme/tiny/tree/"), isListed {
            return Reply(body: Self.json(files.map { Self.entry($0.path, $0.bytes) }))
        }
        let prefix = "/acme/tiny/resolve/"
        guard path.utf8.starts(with: prefix.utf8) else { return Reply(status: 404) }
        let rest = path.droppingBytes(prefix.utf8.count)
        let name = rest.droppingBytes((rest.pathParts.first?.utf8.count ?? 0) + 1)
        guard let file = files.first(where: { ExactText($0.path) == ExactText(name) }) else {
            return Reply(
                status: 404,
                fields: ["X-Error-Code": "EntryNotFound", "X-Repo-Commit": commitOfTests])
        }
        return Reply(
            fields: [
                "X-Repo-Commit": commitOfTests,
                "ETag": "\"\(ContentHasher.gitBlob(of: file.bytes))\"",
            ], body: file.bytes)
    }
}

/// Options of a fetch from a server of the tests, into a folder that goes at the end.
func withHub(
    _ answer: @escaping @Sendable (Request, Int) -> Reply,
    _ body: (LoopbackServer, Cache, FetchOptions) async throws -> Void
) async throws {
    let root = NSTemporaryDirectory() + "graft-listing-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: root) }
    let server = try LoopbackServer(answer)
    defer { server.stop() }
    var options = FetchOptions()
    options.endpoint = server.base
    options.hubRoot = root + "/hub"
    try await body(server, Cache(root: root + "/own"), options)
}

/// Forms of a `Link` field and the targets of its `next` links.
private let forms: [(String, [String])] = [
    (#"<https://h/a?cursor=1>; rel="next""#, ["https://h/a?cursor=1"]),
    (#"<https://h/a>;rel=next"#, ["https://h/a"]),
    (#"<https://h/a,b;c>; rel="prev NEXT last""#, ["https://h/a,b;c"]),
    (
        #"<https://h/p>; rel="prev", <https://h/n>; title="a, \"b\" <c>"; rel="next""#,
        ["https://h/n"]
    ),
    (#"  , ,<https://h/a> ; REL = next , "#, ["https://h/a"]),
    (#"<https://h/a>; rel="last"; rel="next""#, []),
    (#"<https://h/a>"#, []),
    ("", []),
]

@Test(arguments: forms) func linksAreReadInEveryForm(field: String, targets: [String]) throws {
    let links = try #require(LinkHeader.links(field))
    #expect(links.filter { $0.relations.contains("next") }.map(\.target) == targets)
}

@Test(arguments: [
    "https://h/a; rel=next", "<https://h/a; rel=next", #"<https://h/a>; rel="next"#,
    "<https://h/a> rel=next", "<https://h/a>; rel=\"next\" x",
])
func otherLinksAreNot(field: String) {
    #expect(LinkHeader.links(field) == nil)
}

/// How a hub says where the second page is.
private let pageLines = [
    #"Link: <%@>; rel="next""#,
    "Link: <%@>;rel=next",
    "Link: </first>; rel=\"first\"\r\nLink: <%@>; rel=\"next\"",
    #"Link: <%@&a=1,2>; rel="next last""#,
]

@Test(arguments: pageLines) func everyPageIsFollowed(line: String) async throws {
    let hub = SmallHub(files: [("a.txt", [1]), ("b.txt", [2, 3])])
    try await withHub { request, _ in
        guard request.path.contains("/tree/") else { return hub.answer(request) }
        let isSecond = request.path.contains("cursor=2")
        let file = hub.files[isSecond ? 1 : 0]
        let next = "/api/models/acme/tiny/tree/\(commitOfTests)?recursive=true&cursor=2"
        return Reply(
            body: SmallHub.json([SmallHub.entry(file.path, file.bytes)]),
            lines: isSecond ? [] : [line.replacingOccurrences(of: "%@", with: next)])
    } _: { _, cache, options in
        let found = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
        #expect(found.files.map(\.path) == ["a.txt", "b.txt"])
    }
}

/// What breaks a list, and a word of the error.
private let brokenLists: [(line: String, siblings: [String], word: String)] = [
    ("Link: <%@>; rel=\"next\"", [], "repeats"),
    ("Link: <%@&n=%n>; rel=\"next\"", [], "repeats"),
    ("Link: <%@; rel=\"next\"", [], "cannot be read"),
    ("Link: <%@&n=1>; rel=next, <%@&n=2>; rel=next", [], "2 places"),
    ("X-Other: 1", ["a.txt", "z.bin"], "`z.bin`"),
    ("X-Repo-Commit: \(String(repeating: "d", count: 40))", [], "another commit"),
]

@Test(arguments: brokenLists)
func aListThatCannotBeWholeIsRefused(line: String, siblings: [String], word: String) async throws {
    let hub = SmallHub(files: [("a.txt", [1])], siblings: siblings)
    try await withHub { request, number in
        guard request.path.contains("/tree/") else { return hub.answer(request) }
        var reply = hub.answer(request)
        let address = "/api/models/acme/tiny/tree/\(commitOfTests)?recursive=true&expand=false"
        reply.lines = [
            line.replacingOccurrences(of: "%@", with: address)
                .replacingOccurrences(of: "%n", with: "\(number)")
        ]
        return reply
    } _: { server, cache, options in
        let error = await #expect(throws: HubError.self) {
            _ = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
        }
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        #expect(server.requests.count < 6)
    }
}

@Test(arguments: ["-5", "+3", "3, 3", "9223372036854775807", "99999999999999999999", "1e3", ""])
func sizesThatAreNoneAreRefused(size: String) async throws {
    let hub = SmallHub(files: [("w.safetensors", [1, 2, 3])])
    try await withHub { request, _ in
        var reply = hub.answer(request)
        if request.path.contains("/resolve/") { reply.lines = ["X-Linked-Size: \(size)"] }
        return reply
    } _: { _, cache, options in
        let error = await #expect(throws: HubError.self) {
            _ = try await Hub(cache: cache, options: options)
                .fetch("hf://acme/tiny/w.safetensors")
        }
        guard case .notAHub(_, .size) = error else {
            Issue.record("expected no size, found \(String(describing: error))")
            return
        }
    }
}

@Test func sizesInListsAreChecked() async throws {
    let hub = SmallHub(files: [])
    for sizes in [[-1], [Int.max, Int.max], [1 << 56, 1 << 56], [1 << 57]] {
        try await withHub { request, _ in
            guard request.path.contains("/tree/") else { return hub.answer(request) }
            let entries = sizes.enumerated().map { index, size in
                SmallHub.entry("f\(index)", []).merging(["size": size]) { $1 }
            }
            return Reply(body: SmallHub.json(entries))
        } _: { _, cache, options in
            await #expect(throws: HubError.self) {
                _ = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
            }
        }
    }
}

@Test func aPinnedCommitIsAnsweredOrRefused() async throws {
    let hub = SmallHub(files: [("a.txt", [1])])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { _, cache, options in
        let pinned = String(repeating: "e", count: 40)
        let error = await #expect(throws: HubError.self) {
            _ = try await Hub(cache: cache, options: options).fetch(
                "hf://acme/tiny@\(pinned)/a.txt")
        }
        guard case .otherCommit(_, pinned, commitOfTests) = error else {
            Issue.record("expected another commit, found \(String(describing: error))")
            return
        }
    }
}

@Test func aHubWithoutListsIsAskedForEachFile() async throws {
    let hub = SmallHub(
        files: [("a.txt", [1]), ("b.txt", [2])], isListed: false, siblings: ["a.txt", "b.txt"])
    try await withHub { request, _ in
        hub.answer(request)
    } _: { _, cache, options in
        let found = try await Hub(cache: cache, options: options).fetchRepository("hf://acme/tiny")
        #expect(found.files.map(\.path) == ["a.txt", "b.txt"])
    }
}

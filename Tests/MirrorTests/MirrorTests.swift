// What the mirror answers, without a socket.

import Foundation
import GraftCache
import GraftServer
import Testing

@testable import GraftMirror

@Test func filesAreServedWithTheirDigests() async throws {
    let library = try Library()
    let answer = try await library.ask("/acme/tiny/resolve/main/sub/w.bin")
    #expect(answer.status == 200 && library.bytes(answer) == Array("0123456789".utf8))
    #expect(answer.fields["ETag"] == "\"\(ContentHasher.sha256(of: "0123456789"))\"")
    #expect(answer.fields["X-Repo-Commit"] == commit)
    #expect(answer.fields["X-Xet-Hash"] == nil)
    let part = try await library.ask(
        "/acme/tiny/resolve/\(commit)/sub/w.bin", fields: ["range": "bytes=2-4"])
    #expect(part.status == 206 && library.bytes(part) == Array("234".utf8))
    #expect(part.fields["Content-Range"] == "bytes 2-4/10")
    let beyond = try await library.ask(
        "/acme/tiny/resolve/main/sub/w.bin", fields: ["range": "bytes=10-"])
    #expect(beyond.status == 416 && beyond.fields["Content-Range"] == "bytes */10")
    let other = try await library.ask(
        "/acme/tiny/resolve/main/sub/w.bin",
        fields: ["range": "bytes=2-4", "if-range": "\"other\""])
    #expect(other.status == 200)
    let encoded = try await library.ask("/acme/tiny/resolve/refs%2Fpr%2F1/config.json")
    #expect(library.bytes(encoded) == Array("{}".utf8))
}

@Test func treesArePagedAndTellWhatGitTells() async throws {
    let library = try Library()
    let whole = try library.json(
        await library.ask("/api/models/acme/tiny/tree/main?recursive=true&expand=false"))
    let entries = try #require(whole as? [[String: Any]])
    #expect(entries.map { $0["path"] as? String } == ["config.json", "sub", "sub/w.bin"])
    let large = try #require(entries[2]["lfs"] as? [String: Any])
    #expect(large["oid"] as? String == ContentHasher.sha256(of: "0123456789"))
    #expect(large["pointerSize"] as? Int == 127)
    #expect(entries[0]["oid"] as? String == "9e26dfeeb6e641a33dae4961196235bdb965b21b")
    let top = try library.json(await library.ask("/api/models/acme/tiny/tree/main/"))
    #expect((top as? [[String: Any]])?.map { $0["type"] as? String } == ["file", "directory"])
    let page = try await library.ask(
        "/api/models/acme/tiny/tree/main?recursive=true&limit=2", fields: ["host": "hub:80"])
    #expect(
        page.fields["Link"]
            == "<http://hub:80/api/models/acme/tiny/tree/main?recursive=true&limit=2&cursor=2>; rel=\"next\""
    )
    let rest = try library.json(
        await library.ask("/api/models/acme/tiny/tree/main?recursive=true&limit=2&cursor=2"))
    #expect((rest as? [Any])?.count == 1)
    let bad = try await library.ask(
        "/api/models/acme/tiny/tree/main?limit=1", fields: ["host": "a b\r\nx"])
    #expect(bad.fields["Link"] == nil)
    let found = try library.json(
        await library.ask(
            "/api/models/acme/tiny/paths-info/main", "POST",
            body: "paths=sub%2Fw.bin&paths=sub&paths=x"))
    #expect(
        (found as? [[String: Any]])?.compactMap { $0["path"] as? String } == ["sub/w.bin", "sub"])
}

@Test func errorsAreWordedAsTheHubDoes() async throws {
    let library = try Library()
    func code(_ target: String) async throws -> String? {
        let answer = try await library.ask(target)
        #expect(answer.status == 404)
        return answer.fields["X-Error-Code"]
    }
    #expect(try await code("/acme/none/resolve/main/x") == "RepoNotFound")
    #expect(try await code("/api/models/acme/none") == "RepoNotFound")
    #expect(try await code("/acme/tiny/resolve/other/x") == "RevisionNotFound")
    #expect(
        try await code("/api/models/acme/tiny/revision/\(String(repeating: "b", count: 40))")
            == "RevisionNotFound")
    #expect(try await code("/acme/tiny/resolve/main/x") == "EntryNotFound")
    #expect(try await code("/api/models/acme/tiny/tree/main/none") == "EntryNotFound")
    #expect(try await library.ask("/acme/tiny/resolve/main/x").fields["X-Repo-Commit"] == commit)
    #expect(try await library.ask("/acme/tiny/resolve/main/config.json", "DELETE").status == 405)
    #expect(try await library.ask("/api/models/acme/tiny", "POST").status == 405)
}

@Test func nothingLeavesTheCache() async throws {
    let library = try Library()
    for path in [
        "leak", "out/secret.txt", "..%2f..%2f..%2f..%2fsecret.txt", "../../../../secret.txt",
        "sub/../../../../../secret.txt", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt", "/etc/passwd",
        "%2fetc%2fpasswd", "sub%00", "..\\..\\..\\secret.txt", ".", "sub", "sub//w.bin", "",
    ] {
        let answer = try await library.ask("/acme/tiny/resolve/main/" + path)
        #expect(answer.status == 404, "\(path)")
    }
    for target in [
        "/../secret.txt", "/%2e%2e/secret.txt", "/acme/..%2f..%2f../resolve/main/secret.txt",
        "/api/models/..%2f../tree/main", "/acme/tiny/resolve/..%2f..%2f..%2f../secret.txt",
        "/api/models/acme/tiny/revision/..%2f..", "/datasets/acme/tiny/resolve/main/config.json",
    ] {
        #expect(try await library.ask(target).status == 404, "\(target)")
    }
    #expect(MirrorRequest(ServerRequest(method: "GET", target: "/a%zz")) == nil)
    #expect(MirrorRequest(ServerRequest(method: "GET", target: "/a%ff")) == nil)
    #expect(MirrorRequest(ServerRequest(method: "GET", target: "a")) == nil)
    let listed = try library.json(await library.ask("/api/models/acme/tiny/tree/main?recursive=1"))
    // The links that lead out are listed by the scanner as files, but cannot be had.
    #expect((listed as? [[String: Any]])?.contains { $0["path"] as? String == "out" } == false)
}

@Test func listingsFollowTheDisk() async throws {
    let library = try Library()
    let shelf = Shelf(root: library.hub)
    let name = try #require(HubName(.model, "acme/tiny"))
    let first = try shelf.listing(name, commit: commit)
    #expect(first.files.map(\.path) == ["config.json", "sub/w.bin"])
    #expect(first.hasFolder("sub") && !first.hasFolder("su") && first.file("sub") == nil)
    try library.add("sub/new.txt", "new", blob: ContentHasher.gitBlob(of: Array("new".utf8)))
    #expect(try shelf.listing(name, commit: commit).file("sub/new.txt")?.byteCount == 3)
    try FileManager.default.removeItem(
        atPath: library.hub + "/models--acme--tiny/snapshots/\(commit)/sub/w.bin")
    #expect(try shelf.listing(name, commit: commit).file("sub/w.bin") == nil)
}

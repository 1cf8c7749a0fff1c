// A mirror that takes uploads: repositories, large files, commits, and what it refuses.

import Foundation
import GraftCache
import GraftServer
import Testing

@testable import GraftMirror

@Suite struct WritingTests {
    private let ann = TokenHolder(name: "ann", mayWrite: true)
    private let bob = TokenHolder(name: "bob", mayWrite: false)
    private let library: Library
    private let mirror: Answering

    init() throws {
        library = try Library()
        var options = Mirror.Options()
        options.isWritable = true
        mirror = library.answering(options)
    }

    private func post(
        _ target: String, _ body: String, by holder: TokenHolder? = nil, method: String = "POST"
    ) async throws -> ServerResponse {
        try await library.ask(
            target, method, fields: ["host": "hub:1"], body: body, holder: holder ?? ann, of: mirror
        )
    }

    private func line(_ key: String, _ value: String) -> String {
        "{\"key\":\"\(key)\",\"value\":{\(value)}}\n"
    }

    private func file(_ path: String, _ text: String = "x") -> String {
        let content = Data(text.utf8).base64EncodedString()
        return line("file", #""path":"\#(path)","content":"\#(content)","encoding":"base64""#)
    }

    private var header: String { line("header", #""summary":"x","description":"""#) }

    private func commit(_ lines: String, to revision: String = "main") async throws -> Int {
        try await post("/api/models/acme/new/commit/\(revision)", header + lines).status
    }

    private func text(_ path: String, at revision: String = "main") async throws -> String? {
        let answer = try await library.ask(
            "/acme/new/resolve/\(revision)/\(path)", holder: ann, of: mirror)
        return answer.status == 200 ? String(decoding: library.bytes(answer), as: UTF8.self) : nil
    }

    private func create() async throws {
        let answer = try await post(
            "/api/repos/create", #"{"name":"new","organization":"acme"}"#)
        try #require(answer.status == 200)
    }

    @Test func commitsAreSnapshotsOfTheCache() async throws {
        try await create()
        #expect(try await post("/api/repos/create", #"{"name":"acme/new"}"#).status == 409)
        #expect(try await text(".gitattributes")?.contains("*.safetensors filter=lfs") == true)
        #expect(try await commit(file("a.txt", "one") + file("sub/b.txt", "two")) == 200)
        let name = try #require(HubName(.model, "acme/new"))
        let first = try #require(mirror.shelf.commit(name, revision: "main"))
        #expect(
            try await commit(file("a.txt", "changed") + line("deletedFolder", #""path":"sub""#))
                == 200)
        #expect(try await text("a.txt") == "changed")
        #expect(try await text("sub/b.txt") == nil)
        #expect(try await text("a.txt", at: first) == "one")
        #expect(try await text("sub/b.txt", at: first) == "two")
        #expect(try await post("/api/models/acme/new/branch/next", "{}").status == 200)
        #expect(try await text("a.txt", at: "next") == "changed")
        let pull = try await post(
            "/api/models/acme/new/commit/main?create_pr=1", header + file("c.txt"))
        #expect(String(decoding: library.bytes(pull), as: UTF8.self).contains("/discussions/1"))
        #expect(try await text("c.txt") == nil)
        #expect(try await text("c.txt", at: "refs%2Fpr%2F1") == "x")
        let scan = HubScanner(root: library.hub).repository(folderName: "models--acme--new")
        #expect(scan?.problems == [])
    }

    @Test func whatIsNotACommitIsRefused() async throws {
        try await create()
        for path in ["../x", "/x", "a/../../x", "a//b", "C:/x", ".", "", "a\\\\..\\\\b"] {
            #expect(try await commit(file(path)) == 400, "\(path)")
        }
        #expect(try await commit(file("a") + file("a/b")) == 400)
        #expect(try await commit(file(".gitattributes/x")) == 400)
        #expect(try await commit("nonsense\n") == 400)
        #expect(try await commit(line("copyFile", #""path":"a""#)) == 400)
        #expect(try await commit(line("deletedFile", #""path":"none""#)) == 404)
        #expect(try await commit(file("a"), to: "none") == 404)
        #expect(try await commit(file("a"), to: String(repeating: "b", count: 40)) == 404)
        let oid = String(repeating: "0", count: 64)
        #expect(try await commit(line("lfsFile", #""path":"a","oid":"\#(oid)","size":1"#)) == 400)
        #expect(try await commit(line("lfsFile", #""path":"a","oid":"..","size":1"#)) == 400)
        #expect(try await post("/api/models/acme/new/commit/main", file("a")).status == 400)
        let moved = line("header", #""summary":"x","parentCommit":"\#(commit40)""#) + file("a")
        #expect(try await post("/api/models/acme/new/commit/main", moved).status == 412)
        #expect(try await text("a") == nil)
    }

    private let commit40 = String(repeating: "c", count: 40)

    @Test func onlyTokensThatMayWriteDo() async throws {
        try await create()
        let body = header + file("a")
        #expect(try await post("/api/models/acme/new/commit/main", body, by: bob).status == 403)
        let nobody = try await library.ask(
            "/api/models/acme/new/commit/main", "POST", body: body, of: mirror)
        #expect(nobody.status == 401)
        let readOnly = try await library.ask(
            "/api/models/acme/new/commit/main", "POST", body: body, holder: ann)
        #expect(readOnly.status == 405)
        let deletion = try await post("/api/repos/delete", "{}", method: "DELETE")
        #expect(deletion.status == 501)
    }

    @Test func largeFilesAreComparedWithTheirDigests() async throws {
        try await create()
        let right = "right"
        let oid = ContentHasher.sha256(of: right)
        let batch = try await post(
            "/acme/new.git/info/lfs/objects/batch",
            #"{"operation":"upload","objects":[{"oid":"\#(oid)","size":5}]}"#)
        let answer = try #require(library.json(batch) as? [String: Any])
        let object = try #require((answer["objects"] as? [[String: Any]])?.first)
        let actions = try #require(object["actions"] as? [String: [String: Any]])
        let href = try #require(actions["upload"]?["href"] as? String)
        #expect(href.hasPrefix("http://hub:1/api/large-files/models/acme/new/"))
        let path = String(href.dropFirst("http://hub:1".utf8.count))
        func put(_ path: String, _ text: String) async throws -> Int {
            try await library.ask(path, "PUT", body: text, of: mirror).status
        }
        #expect(try await put(path, "wrong") == 400)
        #expect(try await put(path, "righ") == 400)
        #expect(try await put(path + "0", right) == 403)
        #expect(try await put(path.replacing("/5/", with: "/6/"), right) == 403)
        #expect(try await put(path.replacing("acme/new", with: "acme/old"), right) == 403)
        let blobs = library.hub + "/models--acme--new/blobs"
        #expect(Files.names(in: blobs).count == 1)
        #expect(try await put(path, right) == 200)
        #expect(Files.names(in: blobs).contains(oid))
        #expect(
            try await commit(line("lfsFile", #""path":"w.bin","oid":"\#(oid)","size":6"#)) == 400)
        #expect(
            try await commit(line("lfsFile", #""path":"w.bin","oid":"\#(oid)","size":5"#)) == 200)
        #expect(try await text("w.bin") == right)
        let preupload = try await post(
            "/api/models/acme/new/preupload/main",
            #"{"files":[{"path":"w.bin","size":5},{"path":"a.txt","sample":"AAE=","size":2},{"path":"b.txt","sample":"eA==","size":1}]}"#
        )
        let modes =
            try #require(library.json(preupload) as? [String: [[String: Any]]])["files"] ?? []
        #expect(modes.map { $0["uploadMode"] as? String } == ["lfs", "lfs", "regular"])
        #expect(modes.map { $0["oid"] as? String } == [oid, nil, nil])
    }

    @Test func partsAreAsManyAsAFileNeeds() {
        #expect(LargeFiles.partByteCount(65 << 20) == 32 << 20)
        let large = LargeFiles.partByteCount(LargeFiles.largest)
        #expect(LargeFiles.largest / large <= LargeFiles.partCount)
        let name = HubName(.model, "acme/new")
        let object = name.map { LargeFiles.Object(name: $0, oid: "", byteCount: 70 << 20) }
        let counts = object.map { object in
            (1...3).map {
                LargeFiles.Order(verb: "part", object: object, upload: "", part: $0).byteCount
            }
        }
        #expect(counts == [32 << 20, 32 << 20, 6 << 20])
    }
}

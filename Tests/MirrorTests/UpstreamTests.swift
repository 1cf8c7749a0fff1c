// A mirror of a mirror: what is pulled through, once, and never with a wrong byte in it.

import Foundation
import GraftCache
import GraftServer
import Synchronization
import Testing

@testable import GraftMirror

@Suite(.serialized) struct UpstreamTests {
    /// Runs `body` with a mirror whose upstream hub is another one; counts the requests for files.
    private func mirrored(
        _ body: (Library, Answering, _ asked: @Sendable () -> [String]) async throws -> Void
    ) async throws {
        let (source, target) = (try Library(), try Library(isEmpty: true))
        let upstream = source.answering(.init())
        let asked = Mutex<[String]>([])
        let server = HTTPServer(port: 0) { request in
            if request.method == "GET", request.target.contains("/resolve/") {
                asked.withLock { $0.append(request.target) }
            }
            return try await upstream.answer(request)
        }
        let (addresses, continuation) = AsyncStream<String>.makeStream()
        let task = Task { try await server.run { continuation.yield($0) } }
        var iterator = addresses.makeAsyncIterator()
        var options = Mirror.Options()
        let address = await iterator.next()
        options.upstream = address
        try await body(target, target.answering(options)) { asked.withLock { $0 } }
        task.cancel()
        try await task.value
    }

    @Test func filesAreFetchedOnceForAll() async throws {
        try await mirrored { library, mirror, asked in
            let listed = try await library.ask(
                "/api/models/acme/tiny/tree/main?recursive=1", of: mirror)
            #expect((try library.json(listed) as? [Any])?.count == 3)
            let head = try await library.ask(
                "/acme/tiny/resolve/main/sub/w.bin", "HEAD", of: mirror)
            #expect(head.status == 200 && head.byteCount == 10 && asked().isEmpty)
            let answers = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let request = ServerRequest(
                            method: "GET", target: "/acme/tiny/resolve/main/sub/w.bin")
                        let answer = try await mirror.answer(request)
                        guard case .file(let file, let range) = answer.body else { return [] }
                        var bytes = [UInt8](repeating: 0, count: range.count)
                        _ = bytes.withUnsafeMutableBytes {
                            file.read(into: $0, at: range.lowerBound)
                        }
                        return bytes
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers == Array(repeating: Array("0123456789".utf8), count: 8))
            #expect(asked().count == 1)
            let blob = ContentHasher.sha256(of: "0123456789")
            #expect(Files.names(in: library.hub + "/models--acme--tiny/blobs") == [blob])
            let missing = try await library.ask("/acme/tiny/resolve/main/none", of: mirror)
            #expect(missing.status == 404 && missing.fields["X-Error-Code"] == "EntryNotFound")
            let none = try await library.ask("/api/models/acme/none", of: mirror)
            #expect(none.status == 404 && none.fields["X-Error-Code"] == "RepoNotFound")
        }
    }

    @Test func theLastByteWaitsForTheWhole() async throws {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString)").path
        defer { unlink(path) }
        try Data("0123456789".utf8).write(to: URL(fileURLWithPath: path))
        let sent = Mutex<[UInt8]>([])
        let pull = Pull(path: "x")
        let writer = ResponseWriter { bytes in sent.withLock { $0 += bytes } }
        let reached: @Sendable (String) async -> Bool = { text in
            for _ in 0..<2000 where sent.withLock({ $0 }) != Array(text.utf8) {
                try? await Task.sleep(for: .milliseconds(2))
            }
            return sent.withLock { $0 } == Array(text.utf8)
        }
        pull.advance(partial: path, front: 4)
        try await pull.begun()
        let task = Task { try await pull.send(2..<8, to: writer) }
        #expect(await reached("23"))
        pull.advance(partial: path, front: 10)
        #expect(await reached("23456"))
        pull.finish(at: path)
        try await task.value
        #expect(await reached("234567"))
    }

    @Test func aTransferThatFailsOrStartsOverBreaksOff() async throws {
        struct Broken: Error, Equatable {}
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString)").path
        defer { unlink(path) }
        try Data("0123456789".utf8).write(to: URL(fileURLWithPath: path))
        let writer = ResponseWriter { _ in }
        let failed = Pull(path: "x")
        failed.fail(Broken())
        await #expect(throws: Broken()) { try await failed.begun() }
        let over = Pull(path: "x")
        over.advance(partial: path, front: 8)
        let task = Task { try await over.send(0..<10, to: writer) }
        try await Task.sleep(for: .milliseconds(50))
        over.advance(partial: path, front: 2)
        await #expect(throws: Pull.Interrupted()) { try await task.value }
    }
}

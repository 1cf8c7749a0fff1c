// A cache with something in it and something beside it, and questions to a mirror of it.

import Foundation
import GraftCache
import GraftServer
import Testing

@testable import GraftMirror

let commit = String(repeating: "a", count: 40)

/// A cache with one repository and something outside of it that must not be read.
final class Library {
    let root = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-\(UUID().uuidString)").path
    var hub: String { root + "/hub" }
    /// A mirror of it; the same one for all questions.
    private(set) lazy var answering = answering(.init())

    func answering(_ options: Mirror.Options) -> Answering {
        Answering(shelf: Shelf(root: hub), cache: Cache(root: root + "/graft"), options: options)
    }
    private let manager = FileManager.default

    init(isEmpty: Bool = false) throws {
        if isEmpty { return }
        try write("secret", root + "/secret.txt")
        try add("config.json", "{}", blob: ContentHasher.gitBlob(of: Array("{}".utf8)))
        try add("sub/w.bin", "0123456789", blob: ContentHasher.sha256(of: "0123456789"))
        try write(commit, hub + "/models--acme--tiny/refs/main")
        try write(commit, hub + "/models--acme--tiny/refs/refs/pr/1")
        let snapshot = hub + "/models--acme--tiny/snapshots/\(commit)"
        try manager.createSymbolicLink(
            atPath: snapshot + "/leak", withDestinationPath: root + "/secret.txt")
        try manager.createSymbolicLink(atPath: snapshot + "/out", withDestinationPath: root)
    }

    deinit { try? manager.removeItem(atPath: root) }

    func write(_ text: String, _ path: String) throws {
        try manager.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(),
            withIntermediateDirectories: true)
        try text.write(toFile: path, atomically: false, encoding: .utf8)
    }

    func add(_ path: String, _ text: String, blob: String) throws {
        try write(text, "\(hub)/models--acme--tiny/blobs/\(blob)")
        let link = "\(hub)/models--acme--tiny/snapshots/\(commit)/\(path)"
        try manager.createDirectory(
            at: URL(fileURLWithPath: link).deletingLastPathComponent(),
            withIntermediateDirectories: true)
        let up = String(repeating: "../", count: path.split(separator: "/").count + 1)
        try manager.createSymbolicLink(
            atPath: link, withDestinationPath: "\(up)blobs/\(blob)")
    }

    func ask(
        _ target: String, _ method: String = "GET", fields: [String: String] = [:],
        body: String = "", holder: TokenHolder? = nil, of mirror: Answering? = nil
    ) async throws -> ServerResponse {
        try await (mirror ?? answering).answer(
            ServerRequest(
                method: method, target: target, fields: fields,
                body: RequestBody(Array(body.utf8)), holder: holder))
    }

    func json(_ answer: ServerResponse) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(bytes(answer)))
    }

    func bytes(_ answer: ServerResponse) -> [UInt8] {
        switch answer.body {
        case .bytes(let bytes): return bytes
        case .file(let file, let range):
            var bytes = [UInt8](repeating: 0, count: range.count)
            let count = bytes.withUnsafeMutableBytes { file.read(into: $0, at: range.lowerBound) }
            return Array(bytes[..<count])
        case .stream: return []
        }
    }
}

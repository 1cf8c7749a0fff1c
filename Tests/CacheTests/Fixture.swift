// A folder with a Hub cache and graft's own in it, written by hand.

import Foundation
import GraftCache
import Testing

/// Both caches below a folder that goes when the fixture does.
final class Fixture {
    let root = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-\(UUID().uuidString)").path
    var hubRoot: String { root + "/hub" }
    var cache: Cache { Cache(root: root + "/own") }
    var inventory: Inventory { Inventory(cache: cache, hub: HubScanner(root: hubRoot)) }

    init() throws {
        try FileManager.default.createDirectory(
            atPath: hubRoot, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: root + "/own", withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func write(_ text: String, _ path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: false, encoding: .utf8)
    }

    /// A commit with files whose names in `blobs` are their SHA-256.
    func commit(
        _ commit: Character, of folder: String, files: [String: String], refs: [String] = []
    ) throws {
        let repository = "\(hubRoot)/\(folder)"
        let name = String(repeating: commit, count: 40)
        for (path, text) in files {
            let sum = ContentHasher.sha256(of: text)
            try write(text, "\(repository)/blobs/\(sum)")
            let link = "\(repository)/snapshots/\(name)/\(path)"
            try FileManager.default.createDirectory(
                at: URL(fileURLWithPath: link).deletingLastPathComponent(),
                withIntermediateDirectories: true)
            let up = String(repeating: "../", count: path.split(separator: "/").count + 1)
            try FileManager.default.createSymbolicLink(
                atPath: link, withDestinationPath: up + "blobs/" + sum)
        }
        for ref in refs { try write(name, "\(repository)/refs/\(ref)") }
    }

    /// A file of graft's own cache.
    func own(_ reference: String, _ text: String) throws -> String {
        let temporary = try cache.temporaryPath()
        try write(text, temporary)
        return try cache.publish(
            temporary,
            as: Cache.Entry(
                reference: reference, url: reference, sha256: ContentHasher.sha256(of: text),
                byteCount: text.utf8.count, fileName: "w.bin"))
    }
}

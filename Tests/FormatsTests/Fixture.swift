// The small files that Tests/Fixtures/generate.py wrote, and places for files of tests.

import Foundation
import GraftFormats
import GraftSystem
import GraftTensors
import OrderedCollections

enum Fixture {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/formats").path

    /// HDF5 files are parsed by the program: `$GRAFT`, or the one beside the test bundle.
    static let isolation: Isolation = {
        if let path = ProcessInfo.processInfo.environment["GRAFT"] {
            return .process(program: path)
        }
        let bundle = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return .process(program: bundle.deletingLastPathComponent().appending(path: "graft").path)
    }()

    static func path(_ name: String) -> String { folder + "/" + name }

    static func bytes(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path(name))))
    }
}

/// A folder that goes when the test does.
final class Scratch {
    let folder = FileManager.default.temporaryDirectory
        .appending(path: "graft-formats-\(UUID().uuidString)").path

    init() throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(filePath: path(name)))
        return path(name)
    }
}

/// Opens a file and loads every tensor of reasonable size; what may throw, and must not crash.
func loadEverything(_ path: String, isolation: Isolation = .inProcess) throws {
    for tensor in try Checkpoint.open(path, isolation: isolation).tensors.values
    where tensor.byteCount < 1 << 24 {
        _ = try tensor.load()
    }
}

/// 0, 1/4, 2/4 …: what every fixture holds.
func quarters(_ count: Int) -> [Float] { (0..<count).map { Float($0) / 4 } }

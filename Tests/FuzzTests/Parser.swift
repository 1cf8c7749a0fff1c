// What a parser under test is: a name, where its first inputs are, and what is done with a stranger's bytes.

import Foundation
import GraftSystem
import GraftTensors

/// A parser of graft, fed by libFuzzer (`make fuzz`) and by the tests that replay the kept inputs.
struct Parser: Sendable {
    /// What `make fuzz TARGET=…` calls it.
    let name: String
    /// Endings of the fixtures that it can start from, none for all that is in its corpus.
    let seeds: [String]
    /// Parses, and uses what came out as far as a program would without computing.
    let parse: @Sendable ([UInt8], Workbench) throws -> Void

    /// Every parser, by name.
    static let all: [Parser] = weights + descriptions + pictures + tables

    static func named(_ name: String) -> Parser? { all.first { $0.name == name } }

    /// Parses; gives what was thrown and explains nothing.
    func unexplained(_ bytes: [UInt8], _ bench: Workbench) -> (any Error)? {
        do {
            try parse(bytes, bench)
            return nil
        } catch {
            return error is any Diagnostic ? nil : error
        }
    }
}

/// A folder in memory where one process puts the files that parsers want.
final class Workbench: Sendable {
    let folder: String

    init() throws {
        let root = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        folder =
            ProcessInfo.processInfo.environment["GRAFT_FUZZ_FOLDER"]
            .map { "\($0)/\(getpid())" } ?? "\(root)/graft-fuzz-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Writes a file and gives its path; folders in its name are made.
    func file(_ name: String, _ bytes: some Collection<UInt8>) throws -> String {
        let path = folder + "/" + name
        if name.contains("/") {
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent,
                withIntermediateDirectories: true)
        }
        try FileDescriptor(
            opening: path, for: .writing, [.create, .truncate], permissions: 0o600
        ).write(Array(bytes))
        return path
    }
}

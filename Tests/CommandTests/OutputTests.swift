// Answers that cannot be written.

import Foundation
import Testing

@Suite struct OutputTests {
    /// Runs the program, `$0` of a shell's script: its status, and what was said on stderr.
    private func shell(
        _ script: String, in folder: String
    ) throws -> (status: Int32, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", script, Graft.path]
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let said = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: said, as: UTF8.self))
    }

    private func folder() throws -> String {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-output-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let made = try Graft.run("convert", "graft/tiny", "-o", "model.safetensors", in: path)
        #expect(made.status == 0, "\(made.errors)")
        return path
    }

    @Test(arguments: [
        "--version", "--help", "help convert", "--generate-completion-script bash", "models",
        "models --json", "cache path", "cache ls --json", "inspect model.safetensors",
        "inspect model.safetensors --json", "summary graft/tiny", "summary graft/tiny --json",
        "convert graft/tiny -o copy.safetensors", "draw shapes --count 6 --size 32",
        "diff model.safetensors model.safetensors", "fetch model.safetensors",
    ])
    func `An answer that cannot be written is an error`(command: String) throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let there = try Graft.run(
            arguments: command.split(separator: " ").map(String.init), in: folder)
        try #require(there.status == 0, "\(there.errors)")
        try? FileManager.default.removeItem(atPath: folder + "/shapes")
        let found = try shell("\"$0\" \(command) > /dev/full", in: folder)
        #expect(found.status == 1)
        #expect(
            found.errors.contains("error: cannot write to `stdout`: no space left on device"),
            "\(found.errors)")
    }

    @Test func `A closed pipe ends the program as it ends others`() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // `true` is gone when the answer is written.
        let found = try shell(
            "{ sleep 0.3; exec \"$0\" models; } | true; exit ${PIPESTATUS[0]}", in: folder)
        #expect(found.status == 141)
        #expect(!found.errors.contains("error"), "\(found.errors)")
    }
}

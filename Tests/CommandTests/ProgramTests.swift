// The program as a user meets it: version, help and usage errors.

import Foundation
import Testing

@Suite struct ProgramTests {
    @Test func versionIsOneLine() throws {
        let result = try Graft.run("--version")
        #expect(result.status == 0)
        #expect(result.output.split(separator: "\n").count == 1)
    }

    @Test func unknownCommandIsUsage() throws {
        let result = try Graft.run("frobnicate")
        #expect(result.status == 64)
        #expect(!result.errors.isEmpty)
    }

    /// A name in a file can hold what moves the cursor and changes what was written.
    @Test func namesThatSteerTerminalsAreWrittenOut() throws {
        let header = #"{"a\u001b[2J\u009b1A":{"dtype":"F31","shape":[],"data_offsets":[0,0]}}"#
        let count = UInt64(header.utf8.count).littleEndian
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = withUnsafeBytes(of: count) { Data($0) } + Data(header.utf8)
        #expect(FileManager.default.createFile(atPath: path, contents: file))
        let result = try Graft.run("inspect", path)
        #expect(result.status == 1)
        #expect(result.errors.contains(#"a\u{1b}[2J\u{9b}1A"#))
        #expect(!result.errors.contains("\u{1B}"))
    }

    @Test func givingUpTheSandboxIsSaid() throws {
        let result = try Graft.run("--no-sandbox", "models", "--json")
        #expect(result.status == 0)
        #expect(result.errors.contains("warning: --no-sandbox"))
        #expect(!result.output.contains("warning"))
    }
}

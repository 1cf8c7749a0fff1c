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
}

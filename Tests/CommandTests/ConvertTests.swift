// `graft convert` as a user meets it: what it prints, and that it keeps what it was not asked to change.

import Foundation
import Testing

@Suite struct ConvertTests {
    private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/formats").path

    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-convert-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func eachShardIsALine() throws {
        try inFolder { folder in
            let result = try Graft.run(
                "convert", fixtures + "/legacy.h5", "--to", "safetensors", "--shard-size", "25B",
                "-o", "w.safetensors", in: folder)
            #expect(result.status == 0, "\(result.errors)")
            #expect(
                result.output.split(separator: "\n") == [
                    "w-00001-of-00002.safetensors", "w-00002-of-00002.safetensors",
                    "w.safetensors.index.json",
                ])
        }
    }

    @Test func halvesStayHalves() throws {
        try inFolder { folder in
            for arguments in [
                [fixtures + "/nested_keras2.full.h5", "--dtype", "bf16", "-o", "a.safetensors"],
                ["a.safetensors", "-o", "b.safetensors"],
            ] {
                let result = try Graft.run(arguments: ["convert"] + arguments, in: folder)
                #expect(result.status == 0, "\(result.errors)")
            }
            let same = try Graft.run("diff", "a.safetensors", "b.safetensors", in: folder)
            #expect(same.status == 0, "\(same.output)")
            let listed = try Graft.run("inspect", "b.safetensors", in: folder)
            #expect(listed.output.contains(" BF16 ") && !listed.output.contains(" F32 "))
        }
    }

    /// Keras 2 counts the making of a nested model as its first call.
    @Test(arguments: ["nested_keras2.full.h5", "nested_keras3.keras"])
    func nestedModelsAreNetworks(_ name: String) throws {
        let result = try Graft.run("summary", fixtures + "/" + name)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("Total params: 247"))
    }
}

// `graft diff` across formats.

import Foundation
import Testing

@Suite struct DiffTests {
    private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/formats").path

    @Test func theSameNumbersInAnotherFormatAreTheSame() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-diff-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let made = try Graft.run(
            "convert", fixtures + "/legacy.h5", "--to", "npz", "-o", folder + "/a.npz")
        #expect(made.status == 0, "\(made.errors)")
        let same = try Graft.run("diff", fixtures + "/legacy.h5", folder + "/a.npz")
        #expect(same.status == 0, "\(same.errors)")
        #expect(same.output.contains("the same: 2 tensors equal"))
        let half = try Graft.run(
            "convert", fixtures + "/legacy.h5", "--to", "safetensors", "--dtype", "bf16", "-o",
            folder + "/b.safetensors")
        #expect(half.status == 0, "\(half.errors)")
        let other = try Graft.run("diff", fixtures + "/legacy.h5", folder + "/b.safetensors")
        #expect(other.status == 1)
        #expect(other.output.contains("type F32 and BF16"))
        let close = try Graft.run(
            "diff", fixtures + "/legacy.h5", folder + "/b.safetensors", "--tolerance", "0.01")
        #expect(close.status == 0)
    }
}

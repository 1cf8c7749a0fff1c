// Models in files that change while they are open.

import Foundation
import Graft
import GraftImages
import GraftNetworks
import GraftTensors
import Testing

@Suite struct MappingTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-mapping-\(UUID().uuidString)").path

    private func write() async throws -> String {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = folder + "/m.safetensors"
        try await Models.open("graft/tiny").write(to: path)
        return path
    }

    @Test func `A model in memory outlives its file`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try await write()
        let image = try Image(width: 20, height: 20, color: Color(200, 3, 90))
        let expected = try Model.open(path).predict([image])
        let model = try Model.open(path, mapped: false)
        #expect(truncate(path, 100) == 0)
        #expect(try model.predict([image]) == expected)
        #expect(try model.predict([image]) == expected)
    }

    @Test func `A file in memory is its bytes`() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for bytes in [[], [7], [UInt8](0...255)] as [[UInt8]] {
            let path = folder + "/bytes"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let storage = try Storage(reading: path)
            try Data(count: 1).write(to: URL(fileURLWithPath: path))
            #expect(storage.byteCount == bytes.count)
            #expect(storage.withBytes { Array($0) } == bytes)
        }
        #expect(throws: FileError("open", folder, code: EISDIR)) { try Storage(reading: folder) }
        #expect(throws: FileError("open", folder + "/none", code: ENOENT)) {
            try Storage(reading: folder + "/none")
        }
    }

    @Test func `An error in a cut model names the file`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = try await write()
        var model = try Model.open(path)
        model.graph.nodes.removeLast(2)
        try model.write(to: path)
        let error = #expect(throws: ModelError.self) { try Model.open(path) }
        #expect(error?.message.contains("`\(path)`") == true, "\(error?.message ?? "")")
    }
}

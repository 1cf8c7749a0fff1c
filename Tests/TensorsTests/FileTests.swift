// Files that appear whole or not at all, and files that are mapped.

import Foundation
import GraftTensors
import Testing

@Suite struct FileTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-tensors-\(UUID().uuidString)").path

    private func inFolder(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body()
    }

    private func entries() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    @Test func appearsWhenItIsCommitted() throws {
        try inFolder {
            let path = folder + "/file"
            try Data([9]).write(to: URL(filePath: path))
            var file = try AtomicFile(replacing: path)
            try file.write([1, 2, 3])
            // The old file until then, and its successor beside it.
            #expect(FileManager.default.contents(atPath: path) == Data([9]))
            #expect(try entries().count == 2)
            try file.commit()
            #expect(FileManager.default.contents(atPath: path) == Data([1, 2, 3]))
            #expect(try entries() == ["file"])
        }
    }

    @Test func leavesNothingWhenItIsNot() throws {
        try inFolder {
            func abandon() throws {
                let file = try AtomicFile(replacing: folder + "/file")
                try file.write([1, 2, 3])
            }
            try abandon()
            #expect(try entries().isEmpty)
        }
    }

    @Test func namesWhatTheSystemRefuses() throws {
        try inFolder {
            let missing = folder + "/no/file"
            #expect(throws: FileError("create", missing, code: ENOENT)) {
                _ = try AtomicFile(replacing: missing)
            }
            #expect(throws: FileError("open", missing, code: ENOENT)) {
                _ = try Storage(mapping: missing)
            }
            #expect(throws: FileError("open", folder, code: EISDIR)) {
                _ = try Storage(mapping: folder)
            }
        }
    }

    @Test func mapsAFile() throws {
        try inFolder {
            let path = folder + "/file"
            try Data([0, 0, 0x80, 0x3F, 7]).write(to: URL(filePath: path))
            let storage = try Storage(mapping: path)
            #expect(storage.byteCount == 5 && storage.path == path)
            #expect(Tensor(.f32, [1], storage: storage).floats == [1])
            try Data().write(to: URL(filePath: path + "-empty"))
            #expect(try Storage(mapping: path + "-empty").byteCount == 0)
        }
    }

    /// Tensors of any size at their places, in any order.
    @Test func writesTensorsAtTheirPlaces() throws {
        try inFolder {
            let path = folder + "/file"
            var file = try AtomicFile(replacing: path)
            let large = Tensor((0..<2_000_000).map { Float($0) }, shape: [2_000_000])
            try file.write([
                PlacedTensor("small", LazyTensor(Tensor([1], shape: [1])), at: 8_000_000),
                PlacedTensor("large", LazyTensor(large), at: 0),
            ])
            try file.commit(durably: false)
            let written = try Storage(mapping: path)
            #expect(written.byteCount == 8_000_004)
            #expect(Tensor(.f32, [2_000_000], storage: written).floats == large.floats)
            #expect(Tensor(.f32, [1], storage: written, byteOffset: 8_000_000).floats == [1])
        }
    }

    @Test func namesTheTensorThatCannotBeRead() throws {
        struct Gone: Error {}
        try inFolder {
            let file = try AtomicFile(replacing: folder + "/file")
            let broken = LazyTensor(.f32, [1]) { throw Gone() }
            #expect(throws: Gone.self) { try file.write([PlacedTensor("a", broken, at: 0)]) }
        }
        #expect(!FileManager.default.fileExists(atPath: folder))
    }
}

// Files that stand where weights were expected are called what they are; odd entries leave the others readable.

import Foundation
import GraftSystem
import GraftTensors
import OrderedCollections
import Testing

@testable import GraftFormats

struct ForeignFileTests {
    private func identified(_ bytes: [UInt8], _ name: String = "model.safetensors") throws
        -> ForeignFile?
    {
        let scratch = try Scratch()
        let path = try scratch.file(name, bytes)
        do {
            _ = try Checkpoint.open(path, isolation: .inProcess)
        } catch FormatError.foreign(_, let file) {
            return file
        } catch FormatError.unknownFormat { return nil }
        return nil
    }

    private func identified(_ text: String) throws -> ForeignFile? {
        try identified(Array(text.utf8))
    }

    @Test func pointers() throws {
        let digest = String(repeating: "3f", count: 32)
        let pointer =
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(digest)\nsize 102170\n"
        #expect(try identified(pointer) == .lfsPointer(digest: digest, byteCount: 102_170))
        #expect(
            try identified(pointer.replacing("\n", with: "\r\n"))
                == .lfsPointer(digest: digest, byteCount: 102_170))
        let message = FormatError.foreign(
            path: "a", .lfsPointer(digest: digest, byteCount: 102_170))
        #expect(message.message.contains("102170 bytes to sha256:\(digest)"))
        #expect(message.hint?.contains("git lfs pull") == true)
        #expect(try identified("/annex/objects/SHA256E-s10--ab.h5\n") == .annexPointer)
    }

    @Test func pagesAndAnswers() throws {
        #expect(
            try identified("\n<!DOCTYPE html>\n<HTML><head><title> Sign in </title></head>")
                == .html(title: "Sign in"))
        #expect(try identified("<html><body>virus scan</body></html>") == .html(title: nil))
        #expect(
            try identified("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>")
                == .xml(root: "Error"))
        #expect(
            try identified("{\"error\": \"Repository not found\"}")
                == .serverError(message: "Repository not found"))
        #expect(
            try identified("{\"error\": {\"message\": \"no quota\", \"code\": 403}}")
                == .serverError(message: "no quota"))
        #expect(try identified("{\"hidden_size\": 8}") == .json)
        #expect(try identified("Entry not found") == .text(start: "Entry not found"))
    }

    @Test func archivesAndOtherFormats() throws {
        #expect(try identified([UInt8]()) == .empty)
        #expect(try identified([UInt8](repeating: 0, count: 4096)) == .zeros)
        #expect(
            try identified([0x1F, 0x8B, 8, 0] + [UInt8](repeating: 9, count: 40))
                == .compressed(format: "gzip", program: "gunzip"))
        #expect(
            try identified(Array("GGUF".utf8) + [3, 0, 0, 0]) == .other("a GGUF file (llama.cpp)"))
        #expect(try identified([0x80, 4, 0x7D, 0x2E]) == .pickle(library: nil))
        #expect(
            try identified([0x80, 4] + Array("csklearn.svm\nSVC\ncpandas.core\nA\n.".utf8))
                == .pickle(library: "scikit-learn"))
        #expect(
            try identified([0x78, 0x9C, 1, 2])
                == .other("a zlib stream, as `joblib.dump` compresses pickles"))
        #expect(
            try identified("{\"modelTopology\": {}}") == .other("a TensorFlow.js model"))
        #expect(
            try identified("<net name=\"m\" version=\"11\"><layers/></net>")
                == .other("an OpenVINO description, whose weights are in the .bin file beside it"))
        #expect(try identified([0xC3, 0x28, 0xA0, 0xA1, 7, 1, 2, 3, 4, 5]) == nil)
    }

    private func zip(_ members: [(String, [UInt8])]) throws -> [UInt8] {
        let scratch = try Scratch()
        let path = scratch.path("x.zip")
        let archive = try ZipWriter(replacing: path)
        for (name, bytes) in members { try archive.add(name, bytes) }
        try archive.finish()
        return Array(try Data(contentsOf: URL(filePath: path)))
    }

    @Test func zipArchivesAreToldApart() throws {
        #expect(
            try identified(try zip([("keras_model.h5", [1]), ("labels.txt", [2])]))
                == .archive(format: "zip", names: ["keras_model.h5", "labels.txt"]))
        #expect(
            try identified(
                try zip([
                    ("m/data.pkl", [1]), ("m/code/__torch__.py", [2]), ("m/constants.pkl", [3]),
                ]))
                == .torchScript)
        #expect(
            try identified(
                try zip([
                    ("m/archive_format", Array("pt2".utf8)), ("m/data/aotinductor/m.so", [2]),
                ]))
                == .exportedProgram)
    }

    /// An array of text, one of complex numbers and one of objects leave that of numbers readable.
    @Test func oddArraysAreSkippedWithAWord() throws {
        func npy(_ descr: String, _ count: Int) -> [UInt8] {
            var header = "{'descr': \(descr), 'fortran_order': False, 'shape': (1,), }"
            header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
            let size = UInt16(header.utf8.count)
            return Npy.magic + [1, 0, UInt8(size & 0xFF), UInt8(size >> 8)] + Array(header.utf8)
                + [UInt8](repeating: 0, count: count)
        }
        let odd: [(String, [UInt8])] = [
            ("names.npy", npy("'<U3'", 12)), ("c.npy", npy("'<c16'", 16)),
            ("o.npy", npy("'|O'", 5)), ("r.npy", npy("[('a', '<f4')]", 4)),
            ("d.npy", npy("'<M8[D]'", 8)),
        ]
        let scratch = try Scratch()
        let path = try scratch.file(
            "x.npz", try zip(odd + [("w.npy", npy("'<f4'", 4)), ("notes.txt", [65])]))
        let state = try Checkpoint.open(path)
        #expect(state.tensors.keys == ["w"])
        #expect(state.remarks.count == 6)
        #expect(
            state.remarks.first?.description == "skipped `names`: its elements are text (`<U3`)")
        // Without any array of numbers the file is refused.
        let none = try scratch.file("y.npz", try zip([odd[0]]))
        #expect(throws: FormatError.self) { try Checkpoint.open(none) }
    }

    @Test func metadataMayBeNull() throws {
        let header = Array(
            "{\"__metadata__\":null,\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}"
                .utf8)
        let scratch = try Scratch()
        let path = try scratch.file(
            "a.safetensors",
            [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header + [7])
        let state = try Checkpoint.open(path)
        #expect(state.metadata.isEmpty)
        #expect(state["a"]?.shape == [1])
    }

    /// Names that HDF5 has no place for, and those that would meet in one place.
    @Test func everyNameGetsAPlaceInHDF5() throws {
        let names = [
            "/Constant_output_0", "/Constant_output_0/", "", "/", "a.w", "a/w", "a.w:0", "a.w:1",
            "a", "a/b", "a/b/c", "a.b.c", "//a//w", "./x", "../x", "a/a/w", "w", "value.value",
        ]
        var state = StateDict()
        for (index, name) in names.enumerated() {
            state[name] = LazyTensor(Tensor([Float(index)], shape: [1]))
        }
        let scratch = try Scratch()
        let path = scratch.path("x.h5")
        try KerasWriter.writeLegacy(state, to: path)
        let back = try Checkpoint.open(path, isolation: .inProcess)
        #expect(back.count == names.count)
        let numbers = try back.tensors.values.flatMap { try $0.load().floats }
        #expect(Set(numbers) == Set(names.indices.map { Float($0) }))
        #expect(back.tensors.keys.contains("Constant_output_0/Constant_output_0"))
    }
}

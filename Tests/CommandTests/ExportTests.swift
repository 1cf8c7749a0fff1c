// `graft convert` to other programs' formats: the format by the name, what the file says, what is refused.

import Foundation
import Testing

@Suite struct ExportTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-export-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func convert(_ arguments: String..., in folder: String) throws -> Graft.Result {
        try Graft.run(arguments: ["convert", "graft/tiny"] + arguments, in: folder)
    }

    /// The first bytes of a file.
    private func start(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path)).prefix(8)
    }

    @Test func theExtensionDecides() throws {
        try inFolder { folder in
            #expect(try convert("-o", "tiny.safetensors", in: folder).status == 0)
            let hdf5 = Data([0x89, 0x48, 0x44, 0x46])
            let zip = Data([0x50, 0x4B, 3, 4])
            for (name, magic) in [
                ("m.keras", zip), ("m.h5", hdf5), ("m.weights.h5", hdf5), ("m.npz", zip),
                ("m.pth", zip), ("m.onnx", Data([0x08])),
            ] {
                let result = try Graft.run("convert", "tiny.safetensors", "-o", name, in: folder)
                #expect(result.status == 0, "\(name): \(result.errors)")
                #expect(try start(folder + "/" + name).starts(with: magic), "\(name)")
            }
            let plain = try convert("-o", "model", in: folder)
            #expect(plain.status == 0, "\(plain.errors)")
        }
    }

    @Test(arguments: [
        ("onnx", "m.safetensors"), ("keras", "m.h5"), ("native", "m.onnx"), ("npz", "m.keras"),
        ("torch", "m.npz"), ("keras-h5", "m.pth"), ("safetensors", "m.onnx"),
    ])
    func contradictionsAreRefused(format: String, name: String) throws {
        try inFolder { folder in
            let result = try convert("--to", format, "-o", name, in: folder)
            #expect(result.status != 0)
            #expect(result.errors.contains("--to \(format)") && result.errors.contains(name))
            #expect(!FileManager.default.fileExists(atPath: folder + "/" + name))
        }
    }

    @Test func anExportSaysWhatItIs() throws {
        try inFolder { folder in
            let labels = (0..<10).map { "kind \($0)" }.joined(separator: ",")
            let exported = try convert(
                "--labels", labels, "--preprocess", "torch", "--size", "48x40", "-o", "m.onnx",
                in: folder)
            #expect(exported.status == 0, "\(exported.errors)")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/m.onnx"))
            for word in ["kind 7", "classification", "graft/tiny", "0.485", "0.1.0"] {
                #expect(bytes.range(of: Data(word.utf8)) != nil, "\(word)")
            }
            // And graft reads it back.
            let back = try Graft.run("convert", "m.onnx", "-o", "back.safetensors", in: folder)
            #expect(back.status == 0 && back.errors.contains("10 labels"), "\(back.errors)")
            let listed = try Graft.run("summary", "back.safetensors", in: folder)
            #expect(listed.output.contains("48, 40"), "\(listed.output)")
        }
    }

    @Test func aCardSaysItToPeople() throws {
        try inFolder { folder in
            let labels = (0..<10).map { "kind \($0)" }.joined(separator: ",")
            let result = try convert(
                "--labels", labels, "--card", "--with-preprocessing", "-o", "m.onnx", in: folder)
            #expect(result.status == 0, "\(result.errors)")
            let card = try String(contentsOfFile: folder + "/README.md", encoding: .utf8)
            for word in ["kind 7", "uint8", "softmax", "--with-preprocessing"] {
                #expect(card.contains(word), "\(word)")
            }
            let listed = try String(contentsOfFile: folder + "/labels.txt", encoding: .utf8)
            #expect(listed.split(separator: "\n").count == 10)
            // Its own card is written again, another's README.md is not.
            #expect(try convert("--card", "-o", "m.onnx", in: folder).status == 0)
            try "mine".write(toFile: folder + "/README.md", atomically: true, encoding: .utf8)
            let refused = try convert("--card", "-o", "n.onnx", in: folder)
            #expect(refused.status == 1 && refused.errors.contains("README.md"))
            #expect(!FileManager.default.fileExists(atPath: folder + "/n.onnx"))
        }
    }

    @Test(arguments: [
        (["--labels", "a,b,c"], "expected 10 labels"), (["--preprocess", "no"], "--preprocess"),
        (["--size", "0"], "--size"), (["--crop", "2.5"], "--crop"), (["--crop", "0"], "--crop"),
        (["--interpolation", "area"], "--interpolation"), (["--activation", "relu"], "relu"),
        (["--select", "box"], "no output is called `box`"), (["--sigmoid"], "sigmoid"),
        (["--softmax", "--sigmoid"], "exclude"), (["--labels", "gone.txt"], "gone.txt"),
    ])
    func whatDoesNotFitIsRefused(options: [String], words: String) throws {
        try inFolder { folder in
            let result = try Graft.run(
                arguments: ["convert", "graft/tiny", "-o", "m.onnx"] + options, in: folder)
            #expect(result.status != 0 && result.errors.contains(words), "\(result.errors)")
        }
    }

    /// What lies beside a file is taken, where it fits.
    @Test func companionsAreRead() throws {
        try inFolder { folder in
            // Weights alone, as another program leaves them.
            #expect(try convert("-o", "tiny.safetensors", in: folder).status == 0)
            let bare = try Graft.run("convert", "tiny.safetensors", "-o", "w.pth", in: folder)
            #expect(bare.status == 0, "\(bare.errors)")
            let names = (0..<10).map { "\($0) thing \($0)" }.joined(separator: "\r\n") + "\r\n"
            try names.write(toFile: folder + "/labels.txt", atomically: true, encoding: .utf8)
            let config = """
                {"image_processor_type": "ViTImageProcessor", "size": {"height": 40, "width": 40},
                 "resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
                """
            try config.write(
                toFile: folder + "/preprocessor_config.json", atomically: true, encoding: .utf8)
            let result = try Graft.run(
                "convert", "w.pth", "--architecture", "graft/tiny", "-o", "back.safetensors",
                in: folder)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("10 labels from labels.txt"), "\(result.errors)")
            #expect(result.errors.contains("40×40, bicubic"), "\(result.errors)")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/back.safetensors"))
            #expect(bytes.range(of: Data(#"\"thing 3\""#.utf8)) != nil)

            try "one\ntwo\n".write(
                toFile: folder + "/labels.txt", atomically: true, encoding: .utf8)
            let unfit = try Graft.run(
                "convert", "w.pth", "--architecture", "graft/tiny", "-o", "back.safetensors",
                in: folder)
            #expect(unfit.status == 0 && unfit.errors.contains("2 labels"), "\(unfit.errors)")
        }
    }
}

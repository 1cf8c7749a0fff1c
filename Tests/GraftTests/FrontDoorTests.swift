// The library as a program uses it: open, train, predict, and the native model's file.

import Foundation
import Graft
import GraftFormats
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining
import OrderedCollections
import Testing

@Suite struct FrontDoorTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-door-\(UUID().uuidString)").path

    private func draw(_ count: Int) throws {
        for shape in [DrawnShapes.circle, .stripes] {
            let place = "\(folder)/photos/\(shape.rawValue)"
            try FileManager.default.createDirectory(
                atPath: place, withIntermediateDirectories: true)
            for seed in 0..<count {
                try shape.image(seed: UInt64(seed), size: 48).writePNG(to: "\(place)/\(seed).png")
            }
        }
    }

    /// A native model says what it is; another network's name is not passed over in silence.
    @Test func refusesAnotherArchitecture() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let path = folder + "/tiny.safetensors"
        try await Models.open("graft/tiny").write(to: path)
        let same = try await Models.open(path, architecture: "graft/tiny")
        #expect(same.graph.name == "graft/tiny")
        let error = await #expect(throws: (any Error).self) {
            try await Models.open(path, architecture: "resnet50")
        }
        #expect((error as? any Diagnostic)?.message.contains("resnet50") == true)
    }

    /// README's example.
    @Test func trainsAndPredicts() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try draw(10)
        let backbone = try await Models.open("graft/tiny")
        var options = TrainingOptions(mode: .finetune(unfreeze: nil))
        options.epochs = 2
        let (model, result) = try backbone.train(
            on: PhotoSource(folder + "/photos"), options: options, runFolder: folder + "/run",
            cacheFolder: folder + "/cache")
        #expect(result.history.count == 2)
        #expect(model.labels == ["circle", "stripes"])
        let photo = try Image.decode(path: folder + "/photos/circle/0.png")
        let best = try model.predict([photo])[0]
        #expect(best.count == 2)
        #expect(abs(best[0].probability + best[1].probability - 1) < 1e-5)

        // The file is the same model, and plain safetensors.
        let opened = try Model.open(folder + "/run/model.safetensors")
        #expect(try opened.predict([photo])[0] == best)
        #expect(opened.graph == model.graph && opened.labels == model.labels)
        #expect(opened.preprocessing == model.preprocessing)
        let plain = try Safetensors.read(folder + "/run/model.safetensors")
        #expect(Array(plain.tensors.keys) == model.graph.parameters.map(\.name))
    }

    /// Every part of the metadata that a stranger may have written.
    @Test(arguments: [
        ("graft.format", "2"), ("graft.graph", "{}"), ("graft.graph", "not JSON"),
        ("graft.input", "{}"), ("graft.labels", "[\"one\"]"), ("graft.labels", "7"),
        ("graft.source", "[]"),
    ])
    func refusesBrokenModels(key: String, value: String) async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let path = folder + "/m.safetensors"
        try await Models.open("graft/tiny").write(to: path)
        var state = try Safetensors.read(path)
        state.metadata[key] = value
        try Safetensors.write(state, to: folder + "/broken.safetensors")
        let error = #expect(throws: (any Error).self) {
            try Model.open(folder + "/broken.safetensors")
        }
        #expect(error is any Diagnostic)
    }
}

// The main job through the program, on pictures that it draws: train, evaluate, predict, same bytes.

import Foundation
import Testing

@Suite(.serialized) struct MainJobTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-job-\(UUID().uuidString)").path

    private func train(_ run: String, _ more: String...) throws -> Graft.Result {
        try Graft.run(
            arguments: [
                "train", folder + "/drawn", "--backbone", "graft/tiny", "-o", folder + "/" + run,
                "--mode", "finetune", "--unfreeze", "all", "--optimizer", "adam", "--epochs", "3",
            ] + more, environment: ["GRAFT_CACHE": folder + "/cache"])
    }

    @Test func fromPicturesToPredictions() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let drawn = try Graft.run("draw", folder + "/drawn", "--classes", "3", "--count", "12")
        #expect(drawn.status == 0)
        #expect(drawn.output == folder + "/drawn\n")

        // One broken picture is named and skipped; the rest is learned from.
        let broken = folder + "/drawn/circle/broken.png"
        try Data([0x89, 0x50, 0x4E, 0x47]).write(to: URL(fileURLWithPath: broken))
        let first = try train("first")
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.errors.contains("broken.png"))
        let model = folder + "/first/model.safetensors"
        #expect(first.output == model + "\n")

        // Same seed, same bytes.
        let second = try train("second")
        #expect(second.status == 0)
        #expect(
            FileManager.default.contents(atPath: model)
                == FileManager.default.contents(atPath: folder + "/second/model.safetensors"))
        let other = try train("other", "--seed", "1")
        #expect(other.status == 0)
        #expect(
            FileManager.default.contents(atPath: model)
                != FileManager.default.contents(atPath: folder + "/other/model.safetensors"))

        // A finished run is not overwritten unasked.
        let again = try train("first")
        #expect(again.status == 1)
        #expect(again.errors.contains("--overwrite"))

        let evaluated = try Graft.run(
            "evaluate", model, folder + "/drawn", "--split", folder + "/first/split.json", "--json")
        #expect(evaluated.status == 0)
        let answer = try JSONSerialization.jsonObject(with: Data(evaluated.output.utf8))
        let metrics = try JSONSerialization.jsonObject(
            with: try #require(FileManager.default.contents(atPath: folder + "/first/metrics.json"))
        )
        let accuracy = (answer as? [String: Any])?["accuracy"] as? Double
        #expect(accuracy != nil)
        #expect(accuracy == (metrics as? [String: Any])?["accuracy"] as? Double)

        let predicted = try Graft.run("predict", model, folder + "/drawn/circle/0001.png")
        #expect(predicted.status == 0)
        #expect(predicted.output.contains("triangle"))
    }

    @Test func evaluatesTheHalfThatWasKeptBack() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (half, seed) in [("train", "1"), ("validation", "2")] {
            let drawn = try Graft.run(
                "draw", folder + "/drawn/" + half, "--classes", "3", "--count", "8", "--seed", seed)
            #expect(drawn.status == 0, "\(drawn.errors)")
        }
        let trained = try train("run")
        #expect(trained.status == 0, "\(trained.errors)")
        func evaluated(_ more: String...) throws -> Graft.Result {
            try Graft.run(
                arguments: ["evaluate", folder + "/run/model.safetensors"] + more + ["--json"],
                environment: [:])
        }
        let whole = try evaluated(folder + "/drawn", "--split", folder + "/run/split.json")
        #expect(whole.errors.contains("`validation`"))
        let half = try evaluated(folder + "/drawn/validation")
        #expect(half.status == 0, "\(half.errors)")
        // The same figures; only the whole set has a note on its halves.
        func answer(_ result: Graft.Result) throws -> NSDictionary {
            let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            var answer = try #require(object as? [String: Any])
            answer["notes"] = nil
            return answer as NSDictionary
        }
        #expect(try answer(whole) == answer(half))
        #expect(try answer(half)["photos"] as? Int == 24)
    }

    @Test func refusesWhatCannotBe() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let missing = try Graft.run(
            "train", folder, "--backbone", "graft/tiny", "-o", folder + "/run")
        #expect(missing.status == 1)
        #expect(missing.errors.contains("error: ") && missing.errors.contains("hint: "))
        let unknown = try Graft.run("convert", "resnet5", "-o", folder + ".safetensors")
        #expect(unknown.status == 1)
        #expect(unknown.errors.contains("`resnet50`"))
        #expect(!FileManager.default.fileExists(atPath: folder + ".safetensors"))
    }
}

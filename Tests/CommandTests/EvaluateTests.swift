// `graft evaluate`: what was learned from is left out and said, and a part of the classes is enough.

import Foundation
import Testing

@Suite(.serialized) struct EvaluateTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-evaluate-\(UUID().uuidString)").path

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func train(_ data: String, _ more: [String] = []) throws {
        let trained = try Graft.run(
            arguments: [
                "train", data, "--backbone", "graft/tiny", "-o", folder + "/run", "--epochs", "2",
            ] + more, environment: ["GRAFT_CACHE": folder + "/cache"])
        #expect(trained.status == 0, "\(trained.errors)")
    }

    private func draw(_ name: String, count: Int = 10, seed: Int = 1) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let drawn = try Graft.run(
            "draw", "\(folder)/\(name)", "--classes", "3", "--count", "\(count)", "--size", "32",
            "--seed", "\(seed)")
        #expect(drawn.status == 0, "\(drawn.errors)")
    }

    private func evaluate(_ model: String, _ data: String, _ more: [String] = []) throws
        -> (result: Graft.Result, images: Int?, trained: [String: Any])
    {
        let result = try Graft.run(
            arguments: ["evaluate", "\(folder)/\(model)", "\(folder)/\(data)", "--json"] + more)
        let answer =
            try? JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
        return (
            result, answer?["photos"] as? Int, answer?["trained"] as? [String: Any] ?? [:]
        )
    }

    @Test func whatWasLearnedFromIsLeftOut() throws {
        defer { remove() }
        try draw("images")
        try train(folder + "/images")
        // 2 of the 10 images of each class are kept back.
        let usual = try evaluate("run/model.safetensors", "images")
        #expect(usual.result.status == 0, "\(usual.result.errors)")
        #expect(usual.images == 6 && usual.trained["images"] as? Int == 24)
        #expect(usual.result.errors.contains("left out 24 of 30 images"))

        // Contents, not names: the folder, a class's file and the order may be others.
        try FileManager.default.moveItem(atPath: folder + "/images", toPath: folder + "/renamed")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder + "/renamed/circle")
        {
            try FileManager.default.moveItem(
                atPath: "\(folder)/renamed/circle/\(name)",
                toPath: "\(folder)/renamed/circle/other-\(name)")
        }
        let renamed = try evaluate("run", "renamed")
        #expect(renamed.images == 6 && renamed.result.output == usual.result.output)

        let all = try evaluate("run", "renamed", ["--include-training"])
        #expect(all.images == 30 && all.trained["areIncluded"] as? Bool == true)
        #expect(all.result.errors.contains("24 of 30 images were learned from"))

        // Images of the same names that were never seen are measured, every one.
        try draw("images", seed: 9)
        #expect(try evaluate("run", "images").images == 30)

        // A copy away from its run says what it cannot know.
        try FileManager.default.copyItem(
            atPath: folder + "/run/model.safetensors", toPath: folder + "/copy.safetensors")
        let copy = try evaluate("copy.safetensors", "renamed")
        #expect(copy.images == 30 && copy.trained["unknown"] as? String == "split-missing")
        #expect(copy.result.errors.contains("trained on 24 images"), "\(copy.result.errors)")
        let told = try evaluate(
            "copy.safetensors", "renamed", ["--split", folder + "/run/split.json"])
        #expect(told.images == 6, "\(told.result.errors)")

        // Beside the split of another run it is not taken for that run's.
        try FileManager.default.createDirectory(
            atPath: folder + "/elsewhere", withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            atPath: folder + "/copy.safetensors", toPath: folder + "/elsewhere/model.safetensors")
        try #"{"seed":1,"fraction":0.2,"training":["circle/0000.png"],"validation":[]}"#
            .write(toFile: folder + "/elsewhere/split.json", atomically: true, encoding: .utf8)
        let other = try evaluate("elsewhere", "renamed")
        #expect(other.images == 30 && other.result.errors.contains("is of another run"))
    }

    @Test func aPartOfTheClassesIsEnough() throws {
        defer { remove() }
        try draw("images")
        try train(folder + "/images")
        try draw("part", seed: 9)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder + "/part/square") {
            try FileManager.default.removeItem(atPath: "\(folder)/part/square/\(name)")
        }
        let empty = try evaluate("run", "part")
        #expect(empty.images == 20, "\(empty.result.errors)")
        try FileManager.default.removeItem(atPath: folder + "/part/square")
        try FileManager.default.removeItem(atPath: folder + "/part/triangle")
        #expect(try evaluate("run", "part").images == 10)
        #expect(try evaluate("run", "part/circle").images == 10)
        #expect(try evaluate("run", "part/circle/0003.png").images == 1)

        // One that was learned from leaves nothing, which is said with the way out.
        let split = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: folder + "/run/split.json")))
        let learned = try #require(((split as? [String: Any])?["training"] as? [String])?.first)
        let nothing = try evaluate("run", "images/" + learned)
        #expect(nothing.result.status == 1)
        #expect(nothing.result.errors.contains("--include-training"), "\(nothing.result.errors)")

        // Training still needs two classes.
        let trained = try Graft.run(
            "train", folder + "/part", "--backbone", "graft/tiny", "-o", folder + "/second")
        #expect(trained.status == 1 && trained.errors.contains("at least 2 classes"))
    }

    @Test func aRegressionKnowsItsColumns() throws {
        defer { remove() }
        try draw("images")
        var table = "path,shade,depth\n"
        for (index, name) in ["circle", "square", "triangle"].enumerated() {
            for number in 0..<10 { table += "images/\(name)/000\(number).png,\(index),\(number)\n" }
        }
        try table.write(toFile: folder + "/table.csv", atomically: true, encoding: .utf8)
        try train(
            folder + "/table.csv", ["--task", "regression", "--columns", "shade,depth"])
        let found = try evaluate("run", "table.csv")
        #expect(found.result.status == 0, "\(found.result.errors)")
        let learned = try #require(found.trained["images"] as? Int)
        #expect(learned > 0 && found.images == 30 - learned, "\(found.result.output)")
    }
}

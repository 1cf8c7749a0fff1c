// `graft train` as a user meets it: the same bytes from the same seed, also after a kill, and what
// it says about photos and folders that are no good.

import Foundation
import Testing

@Suite struct TrainCommandTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-train-\(UUID().uuidString)").path

    private var cache: [String: String] { ["GRAFT_CACHE": folder + "/cache"] }

    private func draw(_ count: Int) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let drawn = try Graft.run(
            "draw", folder + "/photos", "--classes", "3", "--count", "\(count)", "--size", "32")
        #expect(drawn.status == 0)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func bytes(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }

    @Test(arguments: [
        [], ["--mode", "finetune", "--unfreeze", "all", "--batch", "4"],
        ["--embedding", "8", "--loss", "arcface", "--fraction", "0.4"],
    ])
    func sameSeedSameBytes(mode: [String]) throws {
        defer { remove() }
        try draw(6)
        for run in ["a", "b"] {
            let result = try Graft.run(
                arguments: [
                    "train", folder + "/photos", "--backbone", "graft/tiny", "-o",
                    "\(folder)/\(run)", "--epochs", "3", "--seed", "5",
                ] + mode, environment: cache)
            #expect(result.status == 0, "\(result.errors)")
        }
        #expect(try bytes("a/model.safetensors") == bytes("b/model.safetensors"))
        #expect(try bytes("a/log.csv") == bytes("b/log.csv"))
    }

    @Test func aKilledRunGoesOnToTheSameBytes() throws {
        defer { remove() }
        try draw(8)
        let settings = [
            "--mode", "finetune", "--unfreeze", "all", "--epochs", "60", "--batch", "4",
        ]  // So many that a busy machine too has some left when the run is killed.
        #expect(try train("whole", settings).status == 0)

        let process = Process()
        process.executableURL = URL(fileURLWithPath: Graft.path)
        process.arguments =
            [
                "train", folder + "/photos", "--backbone", "graft/tiny", "-o", folder + "/parts",
                "--patience", "0", "--seed", "5",
            ] + settings
        process.environment = ProcessInfo.processInfo.environment.merging(cache) { $1 }
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        // Some epochs are on disk, and the run is not over.
        func epochs() -> Int {
            let log = try? String(contentsOfFile: folder + "/parts/log.csv", encoding: .utf8)
            return (log?.split(separator: "\n").count ?? 1) - 1
        }
        for _ in 0..<3000 where epochs() < 3 && process.isRunning { usleep(10_000) }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect((3..<60).contains(epochs()))
        #expect(!FileManager.default.fileExists(atPath: folder + "/parts/model.safetensors"))

        let resumed = try train("parts", settings + ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(resumed.errors.contains("going on after epoch"))
        #expect(try bytes("whole/model.safetensors") == bytes("parts/model.safetensors"))
        #expect(try bytes("whole/log.csv") == bytes("parts/log.csv"))
    }

    @Test func aBadPhotoIsNamedSkippedAndCounted() throws {
        defer { remove() }
        try draw(8)
        let bad = folder + "/photos/circle/broken.jpg"
        try Data("no photo".utf8).write(to: URL(fileURLWithPath: bad))
        let result = try train("run", ["--epochs", "1", "--json"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains(bad))
        #expect(result.errors.contains("1 photo skipped: not readable"))
        #expect(result.output.contains("\"skippedPhotos\":1"))
    }

    @Test func aClassWithoutPhotosIsExplained() throws {
        defer { remove() }
        try draw(4)
        let empty = folder + "/photos/nothing"
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        var result = try train("without", ["--epochs", "1"])
        #expect(result.status == 0)
        #expect(result.errors.contains("left out 1 class folder without images: `\(empty)`"))
        // And one whose photos all turn out to be none.
        for index in 0..<4 {
            try Data("no photo".utf8).write(to: URL(fileURLWithPath: "\(empty)/\(index).png"))
        }
        result = try train("run", ["--epochs", "1"])
        #expect(result.status == 1)
        #expect(result.errors.contains("`nothing`") && result.errors.contains("hint:"))
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/model.safetensors"))
    }

    /// Labels and numbers from tables: trained, told and measured alike by run and evaluation.
    @Test(arguments: [("labels", ["labels"]), ("value", ["values", "--learning-rate", "0.02"])])
    func labelsAndNumbers(column: String, settings: [String]) throws {
        defer { remove() }
        try draw(8)
        var table = "path,\(column)\n"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/photos").sorted()
        var photo = ""
        for (number, name) in names.enumerated() {
            let answer =
                column == "value"
                ? "\(100 + number)" : (number == 0 ? "first" : "\(name)|later")
            for file in try FileManager.default
                .contentsOfDirectory(atPath: "\(folder)/photos/\(name)")
            {
                photo = "photos/\(name)/\(file)"
                table += "\(photo),\(answer)\n"
            }
        }
        try Data(table.utf8).write(to: URL(fileURLWithPath: folder + "/table.csv"))
        let trained = try Graft.run(
            arguments: [
                "train", folder + "/table.csv", "--backbone", "graft/tiny", "-o", folder + "/run",
                "--epochs", "3", "--json",
            ] + settings.dropFirst(), environment: cache)
        #expect(trained.status == 0, "\(trained.errors)")
        let evaluated = try Graft.run(
            arguments: [
                "evaluate", folder + "/run/model.safetensors", folder + "/table.csv", "--split",
                folder + "/run/split.json", "--json",
            ], environment: cache)
        #expect(evaluated.status == 0, "\(evaluated.errors)")
        struct Metrics: Decodable {
            struct Label: Decodable { var name: String; var f1: Double }
            struct Labels: Decodable { var labels: [Label] }
            struct Value: Decodable { var meanAbsoluteError: Double }
            struct Values: Decodable { var values: [Value] }
            var labels: Labels?
            var values: Values?
        }
        struct Answer: Decodable { var metrics: Metrics }
        let own = try JSONDecoder().decode(Answer.self, from: Data(trained.output.utf8)).metrics
        let other = try JSONDecoder().decode(Metrics.self, from: Data(evaluated.output.utf8))
        if column == "labels" {
            #expect(
                own.labels?.labels.map(\.name) == (names.dropFirst() + ["first", "later"]).sorted())
            #expect(own.labels?.labels.map(\.f1) == other.labels?.labels.map(\.f1))
        } else {
            let (a, b) = (own.values?.values.first, other.values?.values.first)
            #expect(abs((a?.meanAbsoluteError ?? 9) - (b?.meanAbsoluteError ?? 0)) < 1e-3)
            #expect((a?.meanAbsoluteError ?? 9) < 2)
        }
        let predicted = try Graft.run(
            arguments: [
                "predict", folder + "/run/model.safetensors", folder + "/" + photo,
                "--json",
            ], environment: cache)
        #expect(predicted.output.contains(column == "labels" ? "\"holds\":" : "\"value\":"))
    }

    @Test func partsOfFeaturesMakeTheWhole() throws {
        defer { remove() }
        try draw(3)
        func features(_ arguments: [String]) throws -> Graft.Result {
            try Graft.run(arguments: ["features"] + arguments, environment: cache)
        }
        let base = ["graft/tiny", folder + "/photos", "-o"]
        #expect(try features(base + [folder + "/whole.safetensors"]).status == 0)
        for index in 0..<4 {
            let part = [folder + "/\(index).safetensors", "--shard", "\(index)/4"]
            #expect(try features(base + part).status == 0)
        }
        let parts = [2, 0, 3, 1].map { folder + "/\($0).safetensors" }
        let merged = folder + "/merged.safetensors"
        #expect(try features(["merge", "-o", merged] + parts).status == 0)
        #expect(try bytes("merged.safetensors") == bytes("whole.safetensors"))
        let missing = try features(["merge", "-o", merged] + parts.dropLast())
        #expect(missing.status == 1 && missing.errors.contains("part 1 of 4 is missing"))
        #expect(try features(["merge", "-o", merged, parts[0], parts[0]]).status == 1)
    }

    @Test func aHeadFirstIsNeverLost() throws {
        defer { remove() }
        try draw(8)
        let result = try Graft.run(
            arguments: [
                "train", folder + "/photos", "--backbone", "graft/tiny", "-o", folder + "/run",
                "--recipe", "auto", "--unfreeze", "all", "--epochs", "2", "--learning-rate",
                "1e-30",
                "--seed", "5",
            ], environment: cache)
        #expect(result.status == 0, "\(result.errors)")
        // Epoch 0 is the head, and steps of no length cannot make it worse.
        let log = try String(contentsOfFile: folder + "/run/log.csv", encoding: .utf8)
        let rows = log.split(separator: "\n").map { $0.split(separator: ",") }
        #expect(rows[1][0] == "0" && rows[1][4] == rows[2][4])
    }

    @Test(arguments: [["--mode", "finetune", "--unfreeze", "all"], ["--head", "mlp"]])
    func divergenceIsAnExplainedError(settings: [String]) throws {
        defer { remove() }
        try draw(6)
        #expect(try train("run", ["--epochs", "1"]).status == 0)
        let result = try train(
            "run", settings + ["--lr", "1e30", "--optimizer", "sgd", "--overwrite"])
        #expect(result.status == 1, "\(result.errors)")
        #expect(result.errors.contains("error: training diverged in epoch 1"))
        #expect(result.errors.contains("hint: lower --learning-rate"))
        #expect(!result.errors.contains("bug"))
        // The model of the run before would be taken for this one's.
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/model.safetensors"))
        let listed = try Graft.run("runs", "ls", folder, "--json")
        #expect(listed.output.contains("\"failure\":{") && listed.status == 0)
        #expect(try Graft.run("runs", "ls", folder).output.contains("diverged"))
        let large = try train("other", settings + ["--lr", "1e6", "--epochs", "2"])
        #expect(large.status == 0 || large.errors.contains("diverged"), "\(large.errors)")
    }

    private func train(_ run: String, _ extra: [String]) throws -> Graft.Result {
        try Graft.run(
            arguments: [
                "train", folder + "/photos", "--backbone", "graft/tiny", "-o", "\(folder)/\(run)",
                "--patience", "0", "--seed", "5",
            ] + extra, environment: cache)
    }
}

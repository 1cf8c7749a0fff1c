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

    @Test(arguments: [[], ["--mode", "finetune", "--unfreeze", "all", "--batch", "4"]])
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
            "--mode", "finetune", "--unfreeze", "all", "--epochs", "12", "--batch", "4",
        ]
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
        #expect(epochs() >= 3)
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
        var result = try train("run", ["--epochs", "1"])
        #expect(result.status == 1)
        #expect(result.errors.contains(empty) && result.errors.contains("hint:"))
        // And one whose photos all turn out to be none.
        for index in 0..<4 {
            try Data("no photo".utf8).write(to: URL(fileURLWithPath: "\(empty)/\(index).png"))
        }
        result = try train("run", ["--epochs", "1"])
        #expect(result.status == 1)
        #expect(result.errors.contains("`nothing`") && result.errors.contains("hint:"))
        #expect(!FileManager.default.fileExists(atPath: folder + "/run/model.safetensors"))
    }

    private func train(_ run: String, _ extra: [String]) throws -> Graft.Result {
        try Graft.run(
            arguments: [
                "train", folder + "/photos", "--backbone", "graft/tiny", "-o", "\(folder)/\(run)",
                "--patience", "0", "--seed", "5",
            ] + extra, environment: cache)
    }
}

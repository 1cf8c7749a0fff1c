// `graft train` used wrongly: what it says names the thing, what was expected and what to do.

import Foundation
import Testing

@Suite struct MisuseTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-misuse-\(UUID().uuidString)").path

    private func draw() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let drawn = try Graft.run(
            "draw", folder + "/photos", "--classes", "3", "--count", "6", "--size", "32")
        #expect(drawn.status == 0)
    }

    private func train(_ extra: [String]) throws -> Graft.Result {
        try Graft.run(
            arguments: [
                "train", folder + "/photos", "--backbone", "graft/tiny", "-o", folder + "/run",
            ] + extra, environment: ["GRAFT_CACHE": folder + "/cache"])
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    @Test(arguments: [
        (["--unfreeze", "2"], "--unfreeze does nothing without"),
        (["--gradual", "2"], "--gradual does nothing without"),
        (["--nesterov"], "--nesterov does nothing without"),
        (["--nesterov", "--optimizer", "adam"], "--nesterov does nothing without"),
        (["--nesterov", "--optimizer", "sgd", "--momentum", "0"], "--momentum above 0"),
    ])
    func whatWouldChangeNothingIsRefused(settings: [String], words: String) throws {
        defer { remove() }
        try draw()
        let result = try train(settings)
        #expect(result.status != 0 && result.errors.contains(words), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
    }

    @Test(arguments: [
        (["--lr=-1"], "--learning-rate"), (["--epochs", "0"], "--epochs"),
        (["--mode", "finetune", "--unfreeze", "nowhere"], "--unfreeze"),
    ])
    func aSettingThatMakesNoSenseNamesItsOption(settings: [String], option: String) throws {
        defer { remove() }
        try draw()
        let result = try train(settings)
        #expect(result.status == 1 && result.errors.contains("error: the "), "\(result.errors)")
        #expect(result.errors.contains("hint: change \(option)"), "\(result.errors)")
    }

    @Test func otherClassesAreNamed() throws {
        defer { remove() }
        try draw()
        let other = folder + "/other"
        try FileManager.default.copyItem(atPath: folder + "/photos", toPath: other)
        try FileManager.default.moveItem(atPath: other + "/circle", toPath: other + "/ring")
        let result = try train(["--validation", other])
        #expect(result.status == 1)
        #expect(result.errors.contains("it has no `circle`, only it has `ring`"))
    }

    @Test func anInterruptedRunSaysHowToGoOn() throws {
        defer { remove() }
        try draw()
        let log = folder + "/log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Graft.path)
        process.arguments = [
            "train", folder + "/photos", "--backbone", "graft/tiny", "-o", folder + "/run",
            "--mode", "finetune", "--unfreeze", "all", "--patience", "0", "--epochs", "100000",
        ]
        process.environment = ProcessInfo.processInfo.environment
            .merging(["GRAFT_CACHE": folder + "/cache"]) { $1 }
        process.standardError = FileHandle(forWritingAtPath: log)
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let checkpoint = folder + "/run/checkpoint.safetensors"
        for _ in 0..<3000
        where !FileManager.default.fileExists(atPath: checkpoint) && process.isRunning {
            usleep(10_000)
        }
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        #expect(process.terminationStatus == 130)
        let said = try String(contentsOfFile: log, encoding: .utf8)
        #expect(said.contains("error: interrupted") && said.contains("--resume"), "\(said)")
        // Who starts anew is told what that costs.
        let anew = try train(["--epochs", "1"])
        #expect(anew.status == 0 && anew.errors.contains("note: starting anew"), "\(anew.errors)")
    }

    @Test(arguments: [
        (["trian", "images"], "did you mean `train`?"),
        (["cache", "lst"], "did you mean `list`"),
        (["runs", "comprae", "a"], "did you mean `compare`?"),
        (["frobnicate"], "`graft help` lists the commands"),
    ])
    func aMistypedCommandIsNamed(arguments: [String], words: String) throws {
        let result = try Graft.run(arguments: arguments)
        #expect(result.status == 64 && result.errors.contains(words), "\(result.errors)")
    }

    @Test(arguments: ["none.h5", "/tmp/none/none.keras", "./none", "none.safetensors"])
    func aMissingFileIsCalledMissing(path: String) throws {
        let result = try Graft.run("convert", path, "-o", folder + ".safetensors")
        #expect(result.status == 1 && result.errors.contains("no such file"), "\(result.errors)")
    }

    @Test func aFolderStandsForAModelThatIsNamed() throws {
        defer { remove() }
        try draw()
        #expect(try train(["--epochs", "1"]).status == 0)
        let one = folder + "/photos/circle/0001.png"
        let named = try Graft.run("predict", folder + "/run", one)
        #expect(named.errors.contains("model: \(folder)/run/model.safetensors"), "\(named.errors)")
        for name in ["a", "b"] {
            try FileManager.default.createDirectory(
                atPath: folder + "/models", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: folder + "/run/model.safetensors",
                toPath: "\(folder)/models/\(name).safetensors")
        }
        let vague = try Graft.run("predict", folder + "/models", one)
        #expect(vague.status == 1 && vague.errors.contains("b.safetensors"), "\(vague.errors)")
    }

    @Test func aFolderOfRunsThatIsNotThereIsAnError() throws {
        let result = try Graft.run("runs", "ls", folder)
        #expect(result.status == 1 && result.errors.contains("hint:"), "\(result.errors)")
    }
}

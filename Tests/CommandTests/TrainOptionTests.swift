// What `graft train` says before the first epoch, its defaults, and options that would do nothing.

import Foundation
import Testing

@Suite struct TrainOptionTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-options-\(UUID().uuidString)").path

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    private func draw(classes: Int = 3, count: Int = 6) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let drawn = try Graft.run(
            "draw", folder + "/images", "--classes", "\(classes)", "--count", "\(count)", "--size",
            "32")
        #expect(drawn.status == 0)
    }

    private func train(_ arguments: [String]) throws -> Graft.Result {
        try Graft.run(
            arguments: ["train", "images", "--backbone", "graft/tiny"] + arguments,
            environment: ["GRAFT_CACHE": folder + "/cache"], in: folder)
    }

    /// Every option that some head, mode or task has no use for, with one that it is idle with.
    private static let idle: [(options: [String], words: String)] =
        [
            (["--hidden", "8"], "--hidden does nothing without `--head mlp`"),
            (["--stage-decay", "0.5"], "--stage-decay does nothing without `--mode finetune`"),
            (["--train-bn"], "--train-bn does nothing without `--mode finetune`"),
            (["--momentum", "0.9"], "--momentum does nothing without `--optimizer sgd`"),
            (["--cutmix", "1"], "--cutmix does nothing without `--mode finetune`"),
            (["--cache-views", "3"], "--cache-views does nothing without `--augment`"),
            (
                ["--augment", "light", "--mode", "finetune", "--cache-views", "3"],
                "--cache-views does nothing with `--mode finetune`"
            ),
            (["--task", "embedding", "--mixup", "0.2"], "--mixup does nothing for embedding"),
            (
                ["--task", "embedding", "--label-smoothing", "0.1"],
                "--label-smoothing does nothing for"
            ),
            (["--task", "embedding", "--calibrate"], "--calibrate does nothing for embedding"),
            (["--find-rate", "--lr", "0.1"], "--learning-rate does nothing with `--find-rate`"),
            (["--validation", "images", "--fraction", "0.3"], "--fraction does nothing with"),
        ]
        + [
            "--epochs 2", "--batch 4", "--accumulate 2", "--lr 0.1", "--optimizer adam",
            "--dialect keras", "--weight-decay 0.1", "--schedule cosine", "--warmup 3", "--clip 1",
            "--mixup 0.2", "--ema 0.9", "--dropout 0.1",
        ].flatMap { option in
            let words = option.split(separator: " ").map(String.init)
            let name = words[0] == "--lr" ? "--learning-rate" : words[0]
            return ["logistic", "knn"].map {
                (["--head", $0] + words, "\(name) does nothing with `--head \($0)`")
            }
        }
        + ["--label-smoothing 0.1", "--balance weights", "--patience 3", "--calibrate"].map {
            let words = $0.split(separator: " ").map(String.init)
            return (["--head", "knn"] + words, "\(words[0]) does nothing without `--head linear`")
        }

    @Test func whatDoesNothingIsRefusedByName() throws {
        defer { remove() }
        try draw()
        for (options, words) in Self.idle {
            let refused = try train(
                options.contains("--find-rate") ? options : ["-o", "run"] + options)
            #expect(refused.status != 0, "\(options)")
            #expect(refused.errors.contains(words), "\(options): \(refused.errors)")
        }
        #expect(!FileManager.default.fileExists(atPath: folder + "/run"))
        // Numbers below zero are taken for numbers, not for options.
        for option in ["--epochs", "--batch", "--patience", "--clip"] {
            let refused = try train(["-o", "run", option, "-3"])
            #expect(refused.status != 0 && !refused.errors.contains("Missing value"), "\(option)")
        }
    }

    @Test func aRunWithoutAFolderGetsTheNextNumber() throws {
        defer { remove() }
        try draw()
        for number in ["1", "2"] {
            let trained = try train(["--epochs", "1"])
            #expect(trained.status == 0, "\(trained.errors)")
            #expect(trained.output == "runs/\(number)/model.safetensors\n")
            #expect(trained.errors.contains("run folder: runs/\(number)"))
        }
        // One that fails before it has anything leaves nothing.
        #expect(try train(["--mode", "finetune", "--unfreeze", "nowhere"]).status == 1)
        #expect(!FileManager.default.fileExists(atPath: folder + "/runs/3/model.safetensors"))
        let vague = try train(["--resume"])
        #expect(vague.status != 0 && vague.errors.contains("--resume needs the folder of the run"))
    }

    @Test func theDataIsToldBeforeTheFirstEpoch() throws {
        defer { remove() }
        try draw()
        try Data("notes".utf8).write(to: URL(fileURLWithPath: folder + "/images/circle/notes.txt"))
        let trained = try train(["-o", "run", "--epochs", "1"])
        #expect(trained.status == 0, "\(trained.errors)")
        let lines = trained.errors.split(separator: "\n").map(String.init)
        let table = try #require(lines.firstIndex { $0.hasPrefix("class ") })
        let epoch = try #require(lines.firstIndex { $0.hasPrefix("epoch ") })
        #expect(table < epoch)
        #expect(lines[table + 1].split(separator: " ") == ["circle", "5", "1"])
        #expect(
            lines[table + 4]
                == "3 classes, 15 training and 3 validation images (20 % kept back, seed 0)")
        #expect(lines.contains { $0.hasPrefix("task: classification") && $0.contains("--task") })
        #expect(lines.contains { $0.contains("notes.txt") || $0.contains("1 .txt") })
        // Of many classes, the largest and the smallest.
        for index in 0..<30 {
            let name = "\(folder)/images/extra\(index)"
            try FileManager.default.copyItem(atPath: folder + "/images/square", toPath: name)
        }
        let many = try train(["-o", "many", "--epochs", "1"])
        #expect(many.status == 0 && many.errors.contains("… 15 more"), "\(many.errors)")
    }

    @Test func theRecipeObeysTheNumberOfEpochs() throws {
        defer { remove() }
        try draw()
        let trained = try train(
            ["-o", "run", "--recipe", "auto", "--embedding", "8", "--fraction", "0.4"]
                + ["--epochs", "2", "--unfreeze", "all"])
        #expect(trained.status == 0, "\(trained.errors)")
        let log = try String(contentsOfFile: folder + "/run/head/log.csv", encoding: .utf8)
        #expect(log.split(separator: "\n").count == 3)
    }
}

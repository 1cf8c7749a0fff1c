// `graft predict` and `graft features` on folders, lists, patterns, archives, stdin and videos.

import Foundation
import Testing

@Suite(.serialized) final class PredictTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-predict-\(UUID().uuidString)").path
    private var model: String { folder + "/run/model.safetensors" }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// A small model, and 12 images of 3 classes.
    private func prepare() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let drawn = try Graft.run(
            "draw", folder + "/images", "--classes", "3", "--count", "4", "--size", "32")
        #expect(drawn.status == 0)
        let trained = try Graft.run(
            arguments: [
                "train", folder + "/images", "--backbone", "graft/tiny", "-o", folder + "/run",
                "--epochs", "1",
            ], environment: ["GRAFT_CACHE": folder + "/cache"])
        #expect(trained.status == 0, "\(trained.errors)")
    }

    private func predict(_ arguments: String...) throws -> Graft.Result {
        try Graft.run(arguments: ["predict", model] + arguments)
    }

    private func lines(_ result: Graft.Result) -> [String] {
        result.output.split(separator: "\n").map(String.init)
    }

    private func objects(_ result: Graft.Result) throws -> [[String: Any]] {
        try lines(result).map { line in
            try #require(
                try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    @Test func everyFormSaysTheSame() throws {
        try prepare()
        try Data("no image".utf8).write(
            to: URL(fileURLWithPath: folder + "/images/circle/0002a.png"))

        // One answer per image, in order; the bad one is named, skipped, and remembered by the exit code.
        let all = try predict(folder + "/images", "--jsonl")
        #expect(all.status == 1 && all.errors.contains("1 of 13 images could not be read"))
        let answers = try objects(all)
        #expect(answers.count == 13)
        let paths = answers.compactMap { $0["path"] as? String }
        #expect(paths == paths.sorted())
        #expect(answers[3]["error"] != nil && answers[3]["predictions"] == nil)

        // As one object.
        let whole = try predict(folder + "/images", "--json")
        let object = try #require(try objects(whole).first)
        #expect((object["photos"] as? [[String: Any]])?.count == 12)
        #expect((object["failed"] as? [[String: Any]])?.first?["path"] as? String == paths[3])
        #expect(lines(whole).count == 1)

        // As rows that training reads: the same answers.
        let rows = try predict(folder + "/images", "--csv")
        #expect(lines(rows).first == "path,label,probability" && lines(rows).count == 13)
        let best = (answers[0]["predictions"] as? [[String: Any]])?.first?["label"] as? String
        #expect(lines(rows)[1].hasPrefix("\(paths[0]),\(best ?? "none"),0."))

        // A list, a pattern, an archive and standard input name the same images.
        let list = folder + "/list.txt"
        try paths.joined(separator: "\r\n").write(toFile: list, atomically: true, encoding: .utf8)
        #expect(try predict("--files-from", list, "--csv").output == rows.output)
        #expect(try predict(folder + "/images/*/*.png", "--csv").output == rows.output)
        let shares = { (line: String) in line.split(separator: ",").dropFirst().joined() }
        for (name, option) in [("images.tar", "cf"), ("images.tar.gz", "czf")] {
            let tar = Process()
            tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            tar.arguments = ["tar", option, "\(folder)/\(name)", "-C", folder, "images"]
            try tar.run()
            tar.waitUntilExit()
            let archived = try predict("\(folder)/\(name)", "--csv")
            #expect(lines(archived).count == 13, "\(archived.errors)")
            #expect(lines(archived).dropFirst().allSatisfy { $0.hasPrefix("\(folder)/\(name)/") })
            #expect(
                Set(lines(archived).dropFirst().map(shares))
                    == Set(lines(rows).dropFirst().map(shares)))
        }
    }

    @Test func oneImageIsATableAndItsErrorTheError() throws {
        try prepare()
        let one = try predict(folder + "/images/circle/0001.png")
        #expect(one.status == 0 && lines(one).count == 4 && lines(one)[0].hasPrefix("class"))
        let missing = try predict(folder + "/none.png")
        #expect(missing.status == 1 && missing.errors.hasPrefix("error: cannot open"))
        let nothing = try predict(folder + "/none*.png")
        #expect(nothing.status == 1 && nothing.errors.contains("no file matches"))
        let empty = try predict("-")
        #expect(empty.status == 1 && empty.errors.contains("standard input"))
        for (options, words) in [
            (["--top", "0"], "--top must be at least 1"),
            (["--threshold", "2"], "--threshold must be 0 to 1"),
            (["--threshold", "0.4"], "--threshold does nothing"),
            (["--every", "1s"], "--every is for videos"),
            (["--json", "--csv"], "exclude each other"),
        ] {
            let refused = try Graft.run(
                arguments: ["predict", model, folder + "/images/circle/0001.png"] + options)
            #expect(refused.status != 0 && refused.errors.contains(words), "\(refused.errors)")
        }
        #expect(try predict().errors.contains("name images"))
    }

    @Test func linksSortImagesByClassAndMoveNothing() throws {
        try prepare()
        let sorted = folder + "/sorted"
        for _ in 0..<2 {
            // A second run finds its own links again.
            let result = try predict(folder + "/images", "--sort-into", sorted, "--jsonl")
            #expect(result.status == 0, "\(result.errors)")
            for answer in try objects(result) {
                let label = try #require(
                    (answer["predictions"] as? [[String: Any]])?.first?["label"] as? String)
                let path = try #require(answer["path"] as? String)
                let links = try FileManager.default.contentsOfDirectory(
                    atPath: "\(sorted)/\(label)")
                let targets = try links.map {
                    try FileManager.default.destinationOfSymbolicLink(
                        atPath: "\(sorted)/\(label)/\($0)")
                }
                #expect(targets.contains { $0.hasSuffix(path.dropFirst(folder.count)) })
            }
        }
        let links = try FileManager.default.subpathsOfDirectory(atPath: sorted)
            .filter { $0.hasSuffix(".png") }
        #expect(links.count == 12)
        // Links to files are followed.
        #expect(lines(try predict(sorted, "--csv")).count == 13)
    }

    @Test func labelsAreWrittenForOtherTools() throws {
        try prepare()
        let written = try predict(
            folder + "/images", "--jsonl", "--write", "labelstudio", "-o", folder + "/tasks",
            "--sheet", folder + "/sheet.html")
        #expect(written.status == 0, "\(written.errors)")
        let tasks = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: folder + "/tasks/tasks.json")))
        let labels = try #require(tasks as? [[String: Any]]).map { task -> String? in
            let result = (task["predictions"] as? [[String: Any]])?.first?["result"]
            let value = (result as? [[String: Any]])?.first?["value"] as? [String: Any]
            return (value?["choices"] as? [String])?.first
        }
        let answers = try objects(written).map {
            ($0["predictions"] as? [[String: Any]])?.first?["label"] as? String
        }
        #expect(labels == answers && labels.count == 12 && !labels.contains(nil))
        let images = try FileManager.default.contentsOfDirectory(atPath: folder + "/tasks/images")
        #expect(Set(images).count == 12)
        let page = try String(contentsOfFile: folder + "/sheet.html", encoding: .utf8)
        #expect(page.contains("12 images") && page.contains("circle"))
        // What is there stays, and labels have no place in a file of boxes.
        let again = try predict(
            folder + "/images", "--write", "labelstudio", "-o", folder + "/tasks")
        #expect(again.status == 1 && again.errors.contains("exists"), "\(again.errors)")
        let boxes = try predict(folder + "/images", "--write", "coco", "-o", folder + "/boxes")
        #expect(boxes.status == 1 && boxes.errors.contains("--write labelstudio"))
        #expect(try predict(folder + "/images", "--write", "coco").errors.contains("-o DIR"))
    }

    @Test func boxesAreReadBackAsTheyWereFound() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        #expect(
            try Graft.run("draw", folder + "/images", "--classes", "2", "--count", "4").status == 0)
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder + "/images")
            .filter { $0.hasSuffix(".png") }.sorted()
        let truth: [String: Any] = [
            "categories": [["id": 1, "name": "circle"], ["id": 2, "name": "a <b> & c"]],
            "images": paths.enumerated().map { ["id": $0, "file_name": "images/" + $1] },
            "annotations": paths.indices.map {
                [
                    "id": $0 + 1, "image_id": $0, "category_id": $0 % 2 + 1,
                    "bbox": [4, 6, 40, 30], "area": 1200, "iscrowd": 0,
                ] as [String: Any]
            },
        ]
        try JSONSerialization.data(withJSONObject: truth)
            .write(to: URL(fileURLWithPath: folder + "/truth.json"))
        let trained = try Graft.run(
            arguments: [
                "train", folder + "/truth.json", "--task", "detection", "--backbone", "graft/tiny",
                "-o", folder + "/run", "--epochs", "3",
            ], environment: ["GRAFT_CACHE": folder + "/cache"])
        #expect(trained.status == 0, "\(trained.errors)")
        // A threshold that leaves something: just below the best score.
        let all = try predict(folder + "/images", "--jsonl", "--threshold", "0.011")
        let scores = try objects(all).flatMap { answer in
            (answer["things"] as? [[String: Any]] ?? []).compactMap { $0["score"] as? Double }
        }.sorted(by: >)
        try #require(scores.count > 4)
        let threshold = "\(scores[min(20, scores.count - 1)])"
        for (format, file) in [
            ("yolo", "/data.yaml"), ("coco", "/annotations/instances_default.json"), ("voc", ""),
            ("createml", ""), ("csv", ""), ("labelstudio", ""),
        ] {
            let place = "\(folder)/\(format)"
            let written = try predict(
                folder + "/images", "--threshold", threshold, "--write", format, "-o", place)
            #expect(written.status == 0, "\(written.errors)")
            let measured = try Graft.run(
                "evaluate", model, place + file, "--include-training", "--json")
            #expect(measured.status == 0, "\(measured.errors)")
            let answer = try JSONSerialization.jsonObject(with: Data(measured.output.utf8))
            let boxes = (answer as? [String: Any])?["boxes"] as? [String: Any]
            #expect(boxes?["ap"] as? Double == 1, "\(format): \(measured.output)")
        }
        // Nothing above the threshold: what would show something is said.
        let none = try predict(folder + "/images", "--threshold", "1")
        #expect(none.errors.contains("try --threshold 0."), "\(none.errors)")
    }

    /// A stand-in for ffmpeg: writes two frames of 2 × 2 pixels, or complains.
    private func makeFFmpeg(_ script: String) throws -> [String: String] {
        let bin = folder + "/bin"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        try ("#!/bin/sh\n" + script).write(
            toFile: bin + "/ffmpeg", atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: bin + "/ffmpeg")
        return ["PATH": bin + ":/usr/bin:/bin"]
    }

    @Test func framesOfAVideoAreImages() throws {
        try prepare()
        let video = folder + "/a: clip.mp4"
        // The first bytes of an MP4 file.
        try Data([0, 0, 0, 24] + "ftypisom".utf8 + [0, 0, 2, 0] + "isomiso2".utf8)
            .write(to: URL(fileURLWithPath: video))
        let frames = try makeFFmpeg(
            """
            printf '%s\\n' "$@" > "\(folder)/arguments"
            printf 'P6\\n2 2\\n255\\nabcdefghijkl'
            printf 'P6\\n2 2\\n255\\nmnopqrstuvwx'
            """)
        let found = try Graft.run(
            arguments: ["predict", model, video, "--every", "500ms", "--csv"], environment: frames)
        #expect(found.status == 0, "\(found.errors)")
        #expect(
            lines(found).dropFirst().map { $0.split(separator: ",")[0] }
                == ["\(video)@0.000s", "\(video)@0.500s"])
        let arguments = try String(contentsOfFile: folder + "/arguments", encoding: .utf8)
            .split(separator: "\n").map(String.init)
        #expect(arguments.contains("file:" + video) && arguments.contains("-protocol_whitelist"))
        #expect(arguments.contains("fps=fps=1000/500"))

        let broken = try makeFFmpeg("echo 'moov atom not found' >&2; exit 1\n")
        let failed = try Graft.run(
            arguments: ["predict", model, video], environment: broken)
        #expect(failed.status == 1 && failed.errors.contains("moov atom not found"))
        let lying = try makeFFmpeg("printf 'P6\\n999999999 999999999\\n255\\n'\n")
        #expect(
            try Graft.run(arguments: ["predict", model, video], environment: lying).status == 1)
        let none = try Graft.run(
            arguments: ["predict", model, video], environment: ["PATH": folder])
        #expect(none.status == 1 && none.errors.contains("apt install ffmpeg"), "\(none.errors)")
    }

    @Test func featuresAreNamed() throws {
        try prepare()
        try Data("no image".utf8).write(
            to: URL(fileURLWithPath: folder + "/images/circle/0002a.png"))
        func features(_ output: String, _ more: [String] = []) throws -> Graft.Result {
            try Graft.run(
                arguments: ["features", model, folder + "/images", "-o", "\(folder)/\(output)"]
                    + more)
        }
        let arrays = try features("x.npy")
        #expect(arrays.status == 1 && arrays.output == folder + "/x.npy\n")
        #expect(arrays.errors.contains("12 vectors of"), "\(arrays.errors)")
        let names = try String(contentsOfFile: folder + "/x.names.txt", encoding: .utf8)
            .split(separator: "\n").map(String.init)
        #expect(names.count == 12 && names == names.sorted() && !names[2].hasSuffix("0002a.png"))
        #expect(try features("x.csv").status == 1)
        let rows = try String(contentsOfFile: folder + "/x.csv", encoding: .utf8)
            .split(separator: "\n")
        #expect(rows[0].hasPrefix("path,f0,f1,"))
        #expect(rows.dropFirst().map { String($0.split(separator: ",")[0]) } == names)

        // Parts that lack an image fit together all the same.
        #expect(try features("whole.safetensors").status == 1)
        for index in 0..<3 {
            _ = try features("part\(index).safetensors", ["--shard", "\(index)/3"])
        }
        let merged = try Graft.run(
            arguments: ["features", "merge", "-o", folder + "/merged.safetensors"]
                + [1, 2, 0].map { "\(folder)/part\($0).safetensors" })
        #expect(merged.status == 0, "\(merged.errors)")
        #expect(
            FileManager.default.contents(atPath: folder + "/merged.safetensors")
                == FileManager.default.contents(atPath: folder + "/whole.safetensors"))
    }
}

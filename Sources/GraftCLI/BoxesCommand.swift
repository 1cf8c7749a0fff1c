// `graft boxes`: how well boxes were found, and of boxes that overlap, the ones to keep.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftCache
import GraftFormats
import GraftImages
import GraftTensors
import GraftTraining

struct BoxesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "boxes",
        abstract: "Measure boxes that a detector found: COCO's and Pascal VOC's average precision.",
        discussion: """
            Example: graft boxes detections.json instances.json

            Detections are a JSON list of `image_id`, `category_id`, `bbox` (left, top, width, height) \
            and `score`, as COCO's tools write it. `graft boxes nms` takes out those that others cover.
            """,
        subcommands: [Score.self, Suppress.self, Overlap.self, DetectorLossCommand.self],
        defaultSubcommand: Score.self)

    struct Score: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "score", abstract: "Compare boxes with annotated ones.",
            discussion: "Example: graft boxes score detections.json instances.json")

        @Argument(help: "What was found: COCO's results, .json.") var detections: String
        @Argument(help: "Annotations, in any format that `graft train` reads.")
        var truth: String
        @Option(
            help: "Part of a divided set to compare with (default: test, else validation).",
            transform: choice) var split: DataSplit?
        @OptionGroup(title: "Data") var reading: DataSettings
        @Flag(help: "Print one JSON object.") var json = false

        struct Answer: Encodable {
            let photos: Int
            let truths: Int
            let detections: Int
            let metrics: BoxMetrics
        }

        func run() throws {
            var whole = try AnnotatedImages.read(truth, reading.reading)
            let file = try DetectionFile(detections)
            let parts = split.map { [$0] } ?? [.test, .validation]
            var annotated = whole
            if let part = parts.first(where: { part in whole.images.contains { $0.split == part } })
            {
                annotated = whole.only(part)
                Terminal.say("note: `\(truth)` is divided: comparing with its \(part.name) images")
            } else if let split {
                throw ModelError.unusable(
                    truth, reason: "it has no \(split.name) images", hint: "leave --split out")
            }
            let classes = whole.names
            let found = try file.detections(
                in: annotated, classes: classes, omissions: &whole.omissions)
            for remark in whole.remarks { Terminal.say("warning: left out \(remark)") }
            for note in whole.notes + [annotated.reduction].compactMap(\.self) {
                Terminal.say("note: \(note)")
            }
            // COCO's tools go by the numbers of the photos where scores are equal.
            let order = annotated.images.indices.sorted {
                (annotated.images[$0].id ?? $0, $0) < (annotated.images[$1].id ?? $1, $1)
            }
            var place = [Int](repeating: 0, count: order.count)
            for (new, old) in order.enumerated() { place[old] = new }
            let boxes = annotated.boxes
            if boxes.isEmpty {
                Terminal.say("warning: `\(truth)` holds 0 boxes: every average is undefined")
            }
            let metrics = BoxMetrics(
                found.map { moved($0, \.photo, place) }, boxes.map { moved($0, \.photo, place) },
                photos: order.count, classes: classes)
            let answer = Answer(
                photos: order.count, truths: boxes.count, detections: found.count, metrics: metrics)
            Terminal.answer(
                json
                    ? try JSON.line(answer)
                    : """
                    \(Report.boxes(metrics))

                    \(found.count) boxes found, \(boxes.count) annotated in \(order.count) photos
                    """)
        }

        private func moved<T>(_ value: T, _ path: WritableKeyPath<T, Int>, _ place: [Int]) -> T {
            var value = value
            value[keyPath: path] = place[value[keyPath: path]]
            return value
        }
    }

    struct Suppress: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "nms",
            abstract: "Keep the surest of boxes that overlap (non-maximum suppression).",
            discussion: "Example: graft boxes nms detections.json --overlap 0.45 -o kept.json")

        @Argument(help: "What was found: COCO's results, .json.") var detections: String
        @Option(help: "Boxes that overlap a surer one by more than this go.") var overlap = 0.5
        @Flag(help: "Boxes of different classes do not leave each other alone.")
        var acrossClasses = false
        @Option(name: .shortAndLong, help: "Where to write those that stay, .json.")
        var output: String

        func validate() throws {
            guard (0...1).contains(overlap) else {
                throw ValidationError("--overlap takes a number of 0 to 1")
            }
        }

        func run() throws {
            let results = try DetectionFile(detections).results
            var groups: [DetectionFile.Name: [Int]] = [:]
            for (index, result) in results.enumerated() {
                groups[result.image_id, default: []].append(index)
            }
            var numbers: [DetectionFile.Name: Int] = [:]
            var kept: Set<Int> = []
            for indices in groups.values {
                let classes = indices.map { index in
                    let name = results[index].category_id
                    let number = numbers[name] ?? numbers.count
                    numbers[name] = number
                    return number
                }
                kept.formUnion(
                    Suppression.kept(
                        indices.map { results[$0].box }, scores: indices.map { results[$0].score },
                        classes: acrossClasses ? nil : classes, threshold: overlap
                    ).map { indices[$0] })
            }
            let list = results.indices.filter(kept.contains).map { results[$0] }
            try Data(try JSON.line(list).utf8).write(to: URL(filePath: output), options: .atomic)
            Terminal.say("\(list.count) of \(results.count) boxes stay")
            Terminal.answer(output)
        }
    }

    /// Hidden: for comparison with torchvision.
    struct Overlap: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "overlap",
            abstract: "Measure how boxes overlap, or which suppression keeps.",
            shouldDisplay: false)

        @Argument(help: "Boxes, .npy of (boxes, left top right bottom).") var boxes: String
        @Option(help: "Others, .npy.") var others: String?
        @Option(help: "Scores, .npy: the boxes that suppression keeps.") var scores: String?
        @Option(help: "Classes, .npy.") var classes: String?
        @Option(help: "The overlap above which a box goes.") var threshold = 0.5

        struct Answer: Encodable {
            var overlaps: [[Double]]?
            var generalised: [[Double]]?
            var kept: [Int]?
        }

        func run() throws {
            let boxes = try Self.read(boxes)
            if let others = try others.map(Self.read) {
                return Terminal.answer(
                    try JSON.line(
                        Answer(
                            overlaps: boxes.map { box in others.map { box.overlap($0) } },
                            generalised: boxes.map { box in
                                others.map { box.generalisedOverlap($0) }
                            })))
            }
            let scores = try scores.map { try Npy.read($0).converted(to: .f32).floats } ?? []
            let classes = try classes.map {
                try Npy.read($0).converted(to: .f32).floats.map { Int(exactly: $0) ?? -1 }
            }
            guard scores.count == boxes.count, classes.map({ $0.count == boxes.count }) ?? true
            else { throw ValidationError("expected a score, and a class, for each box") }
            let kept = Suppression.kept(
                boxes, scores: scores.map { Double($0) }, classes: classes, threshold: threshold)
            Terminal.answer(try JSON.line(Answer(kept: kept)))
        }

        private static func read(_ path: String) throws -> [Box] {
            let tensor = try Npy.read(path).converted(to: .f32)
            guard tensor.shape.rank == 2, tensor.shape[1] == 4 else {
                throw ValidationError("`\(path)`: expected (boxes, 4), found \(tensor.shape)")
            }
            let sides = tensor.floats.map { Double($0) }
            return stride(from: 0, to: sides.count, by: 4).map {
                Box(
                    left: sides[$0], top: sides[$0 + 1], right: sides[$0 + 2], bottom: sides[$0 + 3]
                )
            }
        }
    }
}

// `graft predict`: the labels of photos.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftImages
import GraftTensors
import GraftTraining

struct PredictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Say what photos show: the most probable classes, or things and where they are.",
        discussion: "Example: graft predict run/model.safetensors photo.jpg")

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Argument(help: "Photos: JPEG, PNG or WebP.") var photos: [String]
    @Option(help: "How many classes a photo.") var top = 5
    @Option(help: "From which score on a thing is said to be there, of a model that finds boxes.")
    var threshold = 0.5
    @Option(
        help: ArgumentHelp(
            "Draw what is found and where, of a model that finds boxes.",
            discussion: """
                A PNG to write; for several photos, or with a / at its end, a folder, in which each \
                photo's is called NAME.boxes.png. Each class has a colour of its own.
                """)) var draw: String?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var execution: ExecutionSettings
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let path: String
        var predictions: [Prediction]?
        var values: [PredictedValue]?
        var things: [FoundThing]?
        var drawing: String?
    }

    func run() async throws {
        guard top > 0 else { throw ValidationError("--top must be at least 1") }
        var model = try await Models.open(self.model, architecture: architecture)
        model.execution = execution.options()
        let drawings = try draw.map { try paths(of: $0, model) }
        var answers: [Answer] = []
        // Decoded a batch at a time, so that a thousand photos do not fill the memory.
        for start in stride(from: 0, to: photos.count, by: 32) {
            let chunk = Array(photos[start..<min(start + 32, photos.count)])
            if model.task == .detection {
                // Whole photos: boxes are in their pixels.
                let images = try chunk.map { try Image.decode(path: $0) }
                let found = try model.detect(images, threshold: threshold)
                for (at, things) in found.enumerated() {
                    let drawing = drawings?[start + at]
                    if let drawing {
                        try Self.drawn(images[at], things, model.labels).writePNG(to: drawing)
                    }
                    answers.append(Answer(path: chunk[at], things: things, drawing: drawing))
                }
                continue
            }
            let images = try chunk.map { try model.preprocessing.open($0) }
            guard model.task != .regression else {
                for (path, values) in zip(chunk, try model.values(images)) {
                    answers.append(Answer(path: path, values: values))
                }
                continue
            }
            for (path, predictions) in zip(chunk, try model.predict(images, top: top)) {
                answers.append(Answer(path: path, predictions: predictions))
            }
        }
        if json {
            Terminal.answer(try JSON.line(["photos": answers]))
            return
        }
        for answer in answers {
            if let drawing = answer.drawing { Terminal.say("drawn to \(drawing)") }
            if photos.count > 1 { Terminal.answer(answer.path) }
            if let things = answer.things {
                var table = Table(
                    ["thing", "score", "left", "top", "right", "bottom"], numeric: [1, 2, 3, 4, 5])
                for thing in things {
                    let box = thing.box
                    table.add(
                        [thing.label, decimals(thing.score, 3)]
                            + [box.left, box.top, box.right, box.bottom].map { decimals($0, 1) })
                }
                Terminal.answer(table.text)
                continue
            }
            if let values = answer.values {
                var table = Table(["value", ""], numeric: [1])
                for value in values { table.add([value.name, decimals(value.value, 4)]) }
                Terminal.answer(table.text)
                continue
            }
            let holds = model.task == .multiLabel
            var table = Table(
                [holds ? "label" : "class", "probability"] + (holds ? ["holds"] : []) + [""],
                numeric: [1])
            for prediction in answer.predictions ?? [] {
                let cells = Int((prediction.probability * 20).rounded())
                table.add(
                    [prediction.label, decimals(prediction.probability, 3)]
                        + (holds ? [prediction.holds == true ? "yes" : "no"] : [])
                        + [String(repeating: "█", count: cells)])
            }
            Terminal.answer(table.text)
        }
    }

    /// Where the drawing of each photo goes.
    private func paths(of place: String, _ model: Model) throws -> [String] {
        guard model.task == .detection else {
            throw ModelError.unusable(
                self.model, reason: "finds no boxes that could be drawn",
                hint: "`graft train ANNOTATIONS --task detection` makes a model that does")
        }
        var isFolder = false
        let isThere = FileManager.default.fileExists(atPath: place, isDirectory: &isFolder)
        guard photos.count > 1 || place.hasSuffix("/") || isFolder else { return [place] }
        if isThere, !isFolder {
            throw ValidationError(
                "--draw takes a folder for several photos, and `\(place)` is a file")
        }
        do {
            try FileManager.default.createDirectory(
                atPath: place, withIntermediateDirectories: true)
        } catch {
            throw FileError("create", place)
        }
        // Photos of one name from several folders, or in several formats, get numbers.
        var taken: [String: Int] = [:]
        return photos.map { photo in
            let file = photo.split(separator: "/").last.map(String.init) ?? photo
            let name = file.lastIndex(of: ".").map { String(file[..<$0]) } ?? file
            let number = taken[name, default: 0] + 1
            taken[name] = number
            let start = place.hasSuffix("/") ? place : place + "/"
            return start + name + (number > 1 ? "-\(number)" : "") + ".boxes.png"
        }
    }

    /// The photo with what was found in it, the surest on top.
    private static func drawn(_ image: Image, _ things: [FoundThing], _ labels: [String]) -> Image {
        var image = image
        for thing in things.reversed() {
            image.outline(
                thing.box, saying: "\(thing.label) \(decimals(thing.score, 2))",
                Image.ink(labels.firstIndex(of: thing.label) ?? 0))
        }
        return image
    }
}

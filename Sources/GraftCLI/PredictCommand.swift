// `graft predict`: the labels of photos.

import ArgumentParser
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
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var execution: ExecutionSettings
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let path: String
        var predictions: [Prediction]?
        var values: [PredictedValue]?
        var things: [FoundThing]?
    }

    func run() async throws {
        guard top > 0 else { throw ValidationError("--top must be at least 1") }
        var model = try await Models.open(self.model, architecture: architecture)
        model.execution = execution.options()
        var answers: [Answer] = []
        // Decoded a batch at a time, so that a thousand photos do not fill the memory.
        for start in stride(from: 0, to: photos.count, by: 32) {
            let chunk = Array(photos[start..<min(start + 32, photos.count)])
            if model.task == .detection {
                // Whole photos: boxes are in their pixels.
                let images = try chunk.map { try Image.decode(path: $0) }
                for (path, things) in zip(chunk, try model.detect(images, threshold: threshold)) {
                    answers.append(Answer(path: path, things: things))
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
}

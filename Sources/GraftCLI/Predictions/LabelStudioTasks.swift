// Label Studio: tasks with the answers as predictions, and the labelling configuration that fits them.

import Graft
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining

/// Writes `tasks.json`, `config.xml` and `images/`, for Label Studio with local files of that folder.
final class LabelStudioTasks: PredictionSink {
    private struct Task: Encodable {
        struct Source: Encodable {
            let image: String
        }
        struct Prediction: Encodable {
            let model_version: String
            let score: Double?
            let result: [Answer]
        }
        let data: Source
        let predictions: [Prediction]
    }

    private struct Answer: Encodable {
        struct Value: Encodable {
            var x: Double?
            var y: Double?
            var width: Double?
            var height: Double?
            var rotation: Double?
            var rectanglelabels: [String]?
            var choices: [String]?
        }
        let id: String
        let type: String
        let from_name = "label"
        let to_name = "image"
        let original_width: Int
        let original_height: Int
        let image_rotation = 0
        let value: Value
        var score: Double?
    }

    private let folder: WrittenImages
    private let task: LearningTask
    private let labels: [String]
    private let version: String
    private var tasks: JSONListFile

    init(_ path: String, _ model: Model) throws {
        folder = try WrittenImages(path, images: "images")
        (task, labels, version) = (model.task, model.labels, "graft \(model.graph.name)")
        tasks = try JSONListFile("\(folder.path)/tasks.json", start: "[")
    }

    func add(_ report: ImageReport, of input: ImageInput) throws {
        guard report.error == nil else { return }
        let name = try folder.place(input)
        let answers = report.things.map { boxes($0, report) } ?? choices(report)
        try tasks.add(
            Task(
                data: Task.Source(image: "/data/local-files/?d=images/\(name)"),
                predictions: [
                    Task.Prediction(
                        model_version: version, score: answers.compactMap(\.score).min(),
                        result: answers)
                ]))
    }

    /// Boxes in per cent of the sides.
    private func boxes(_ things: [FoundThing], _ report: ImageReport) -> [Answer] {
        let (width, height) = (Double(report.size.width), Double(report.size.height))
        return things.enumerated().map { index, thing in
            let box = thing.box
            var value = Answer.Value()
            (value.x, value.y) = (box.left / width * 100, box.top / height * 100)
            value.width = (box.right - box.left) / width * 100
            value.height = (box.bottom - box.top) / height * 100
            (value.rotation, value.rectanglelabels) = (0, [thing.label])
            return Answer(
                id: "\(folder.count)-\(index)", type: "rectanglelabels",
                original_width: report.size.width, original_height: report.size.height,
                value: value, score: thing.score)
        }
    }

    /// The class, or the labels that hold.
    private func choices(_ report: ImageReport) -> [Answer] {
        let predictions = report.predictions ?? []
        let held = task == .multiLabel ? predictions.filter { $0.holds == true } : predictions
        let chosen = task == .multiLabel ? held : Array(held.prefix(1))
        guard !chosen.isEmpty else { return [] }
        var value = Answer.Value()
        value.choices = chosen.map(\.label)
        return [
            Answer(
                id: "\(folder.count)", type: "choices", original_width: report.size.width,
                original_height: report.size.height, value: value,
                score: chosen.map { Double($0.probability) }.min())
        ]
    }

    func finish() throws {
        try tasks.finish("\n]\n")
        let isBoxes = task == .detection
        let names = labels.map {
            "    <\(isBoxes ? "Label" : "Choice") value=\"\(VOCAnnotations.escaped($0))\"/>"
        }
        let head =
            isBoxes
            ? "<RectangleLabels name=\"label\" toName=\"image\">"
            : "<Choices name=\"label\" toName=\"image\" choice=\"\(task == .multiLabel ? "multiple" : "single")\">"
        try folder.write(
            (["<View>", "  <Image name=\"image\" value=\"$image\"/>", "  " + head] + names + [
                "  </\(isBoxes ? "RectangleLabels" : "Choices")>", "</View>", "",
            ]).joined(separator: "\n"), as: "config.xml")
        Terminal.say("tasks of \(grouped(folder.count)) images: \(folder.path)/tasks.json")
    }
}

// `graft boxes loss`, hidden: a detector's anchors, loss and answers, for comparison with torchvision.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftFormats
import GraftImages
import GraftTensors
import GraftTraining
import OrderedCollections

struct DetectorLossCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loss",
        abstract: "Measure a detector's numbers by its loss, and say what they find.",
        discussion: "Example: graft boxes loss model.safetensors o.npy truth.json -o g.safetensors",
        shouldDisplay: false)

    @Argument(help: "A model that finds boxes.") var model: String
    @Argument(help: "Its output, .npy of (photos, numbers).") var outputs: String
    @Argument(help: "A list by photo of lists of class, left, top, right, bottom as shares, .json.")
    var truth: String
    @Option(name: .shortAndLong, help: "Where anchors, loss and gradient go, .safetensors.")
    var output: String

    func run() async throws {
        let model = try await Models.open(self.model)
        let outputs = try Npy.read(outputs).converted(to: .f32)
        let file = try Storage(mapping: truth).withBytes { Data($0) }
        let boxes: [[[Double]]]
        do {
            boxes = try JSONDecoder().decode([[[Double]]].self, from: file)
        } catch {
            throw ValidationError(
                "expected lists of boxes in `\(truth)`: \(reason(ofDecoding: error))")
        }
        guard
            let detector = try Detector(
                model.graph, input: model.input(), classes: model.labels.count),
            outputs.shape.rank == 2, outputs.shape[0] == boxes.count, !boxes.isEmpty,
            outputs.count == boxes.count * detector.outputs,
            boxes.allSatisfy({ $0.allSatisfy { $0.count == 5 } })
        else { throw ValidationError("expected a detector's output, and boxes for each photo") }
        let photos = try boxes.map { rows in
            try rows.map { row in
                guard let label = Int(exactly: row[0]), (0..<detector.classes).contains(label)
                else { throw ValidationError("no class is called \(row[0])") }
                let box = Box(left: row[1], top: row[2], right: row[3], bottom: row[4])
                return (label: label, box: box)
            }
        }
        var loss = 0.0
        let gradient = outputs.withFloats { floats in
            Tensor(shape: outputs.shape) { target in
                loss = detector.loss(floats, photos, gradient: target)
            }
        }
        let anchors = detector.anchors.flatMap { [$0.left, $0.top, $0.right, $0.bottom] }
        let tensors: OrderedDictionary<String, LazyTensor> = [
            "loss": LazyTensor(Tensor([Float(loss)], shape: [1])),
            "outputs": LazyTensor(gradient),
            "anchors": LazyTensor(
                Tensor(anchors.map { Float($0) }, shape: [detector.anchors.count, 4])),
        ]
        try Safetensors.write(StateDict(tensors), to: output)
        struct Found: Encodable {
            let label: Int
            let score: Double
            let box: Box
        }
        let width = detector.outputs
        let found = outputs.withFloats { floats in
            boxes.indices.map { photo in
                detector.found(.init(rebasing: floats[(photo * width)..<((photo + 1) * width)]))
                    .map { Found(label: $0.label, score: $0.score, box: $0.box) }
            }
        }
        Terminal.answer(try JSON.line(found))
    }
}

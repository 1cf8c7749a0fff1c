// Losses of tasks for conformance: scores and truth in, the loss and its gradient out.

import Foundation
import GraftFormats
import GraftTensors
import GraftTraining
import OrderedCollections

enum TaskJobs {
    /// `localization FUNCTION LOSS WEIGHT scores.npy truth.json OUT`: scores (N, 5 + classes), and a list by
    /// image of `[]` or `[class, bx, by, bh, bw]`. `segmentation TERMS scores.npy truth.npy OUT`: scores
    /// (N, classes, H, W) and classes (N, H, W), 255 ignored; prints the figures too.
    static func run(_ arguments: [String]) throws {
        switch (arguments.first, arguments.count) {
        case ("localization", 7): try localization(Array(arguments.dropFirst()))
        case ("segmentation", 5): try segmentation(Array(arguments.dropFirst()))
        default: throw Misuse(arguments: ["tasks"] + arguments)
        }
    }

    private static func localization(_ arguments: [String]) throws {
        var settings = LocalizationSettings()
        guard let box = LocalizationSettings.BoxFunction(rawValue: arguments[0]),
            let loss = LocalizationSettings.BoxLoss(rawValue: arguments[1]),
            let weight = Double(arguments[2])
        else { throw Misuse(arguments: arguments) }
        (settings.box, settings.loss, settings.boxWeight) = (box, loss, weight)
        let scores = try Npy.read(arguments[3]).converted(to: .f32)
        let truth = try JSONDecoder().decode(
            [[Double]].self, from: Data(contentsOf: URL(filePath: arguments[4])))
        guard scores.shape.rank == 2, scores.shape[0] == truth.count else {
            throw Misuse(arguments: arguments)
        }
        let task = LocalizationLoss(settings: settings, classes: scores.shape[1] - 5)
        try write(to: arguments[5], scores) { task.measured($0, against: truth, gradient: $1) }
    }

    private static func segmentation(_ arguments: [String]) throws {
        let scores = try Npy.read(arguments[1]).converted(to: .f32)
        let truth = try Npy.read(arguments[2]).converted(to: .f32)
        guard let terms = SegmentationSettings.Loss(rawValue: arguments[0]),
            scores.shape.rank == 4, truth.shape.rank == 3, truth.shape[0] == scores.shape[0],
            truth.count * scores.shape[1] == scores.count
        else { throw Misuse(arguments: arguments) }
        let (images, classes) = (scores.shape[0], scores.shape[1])
        let area = truth.count / images
        let labels = truth.floats.map { UInt8(clamping: Int($0)) }
        let maps = (0..<images).map { Array(labels[($0 * area)..<(($0 + 1) * area)]) }
        let task = SegmentationLoss(terms, classes: classes)
        try write(to: arguments[3], scores) { task.mean($0, against: maps, gradient: $1) }
        var tally = PixelTally(classes: classes)
        scores.withFloats { floats in
            for (image, map) in maps.enumerated() {
                let size = classes * area
                tally.add(
                    .init(rebasing: floats[(image * size)..<((image + 1) * size)]), against: map)
            }
        }
        let figures = tally.figures((1..<classes).map { "\($0)" })
        FileHandle.standardOutput.write(try JSONEncoder().encode(figures))
    }

    private static func write(
        to path: String, _ scores: Tensor,
        _ measure: (UnsafeBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) -> Double
    ) throws {
        var loss = 0.0
        let gradient = scores.withFloats { floats in
            Tensor(shape: scores.shape) { loss = measure(floats, $0) }
        }
        let tensors: OrderedDictionary<String, LazyTensor> = [
            "loss": LazyTensor(Tensor([Float(loss)], shape: [1])),
            "gradient": LazyTensor(gradient),
        ]
        try Safetensors.write(StateDict(tensors), to: path)
    }
}

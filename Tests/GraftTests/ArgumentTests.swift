// What a program passes or has changed is answered with an error, never with a trap.

import Foundation
import Graft
import GraftExecution
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining
import Testing

@Suite struct ArgumentTests {
    private let image: Image

    init() throws { image = try Image(width: 9, height: 7, color: Color(10, 200, 30)) }

    private func tiny() async throws -> Model { try await Models.open("graft/tiny") }

    @Test(arguments: [(-1, 0), (.min, 0), (0, 0), (3, 3), (10, 10), (11, 10), (.max, 10)])
    func `The number of classes asked for is clamped`(top: Int, found: Int) async throws {
        let predictions = try await tiny().predict([image, image], top: top)
        #expect(predictions.map(\.count) == [found, found])
        #expect(predictions[0] == predictions[1])
    }

    @Test func `No images have no answers`() async throws {
        #expect(try await tiny().predict([]).isEmpty)
        #expect(try await Runner(tiny()).run([Image]()).isEmpty)
    }

    @Test(arguments: [-1, 99_999, Int.max, Int.min])
    func `A node that the network lacks is an error`(node: Int) async throws {
        let model = try await tiny()
        #expect(throws: ExecutionError.node(node, count: model.graph.nodes.count)) {
            try Runner(model, output: node)
        }
    }

    @Test(arguments: [0, -1, Int.min])
    func `A batch without images is an error`(batch: Int) async throws {
        let model = try await tiny()
        let cause = ModelError.unusable(
            "graft/tiny", reason: "expected a batch size of 1 or more, found \(batch)", hint: nil)
        #expect(throws: cause) { try Runner(model, batch: batch) }
        #expect(throws: cause) { try Predictor(model, batch: batch) }
        // Larger than anything can be.
        #expect(throws: (any Error).self) { try Runner(model, batch: .max) }
    }

    @Test(arguments: [(0, 4), (4, 0), (-2, 2), (Int.max, Int.max), (Int.min, 1)])
    func `An image has pixels`(width: Int, height: Int) {
        #expect(throws: ImageError.invalidSize(width: width, height: height, byteCount: nil)) {
            try Image(width: width, height: height)
        }
        #expect(throws: ImageError.invalidSize(width: width, height: height, byteCount: 12)) {
            try Image(width: width, height: height, pixels: [UInt8](repeating: 0, count: 12))
        }
    }

    @Test func `Pixels are three bytes each`() throws {
        #expect(throws: ImageError.invalidSize(width: 2, height: 2, byteCount: 16)) {
            try Image(width: 2, height: 2, pixels: [UInt8](repeating: 0, count: 16))
        }
        var image = try Image(width: 2, height: 1, pixels: [1, 2, 3, 4, 5, 6])
        #expect(image[1, 0] == Color(4, 5, 6))
        #expect(image[2, 0] == .black && image[-1, 0] == .black && image[0, .max] == .black)
        image[5, 5] = .white
        #expect(image.pixels == [1, 2, 3, 4, 5, 6])
        #expect(image.resized(width: 0, height: -3, .bilinear).pixels.count == 3)
    }

    /// Each a change of a sound model that makes it one that cannot answer.
    enum Change: CaseIterable {
        case thresholds, nanThreshold, labels, detection, size, deviations, output, features, logits
        case noNodes, neighbourCount

        func make(_ model: inout Model) {
            switch self {
            case .thresholds: model.task = .multiLabel
            case .nanThreshold:
                model.task = .multiLabel
                model.thresholds = [Float](repeating: .nan, count: 10)
            case .labels: model.labels = ["one"]
            case .detection: model.task = .detection
            case .size: model.preprocessing.height = -4
            case .deviations: model.preprocessing.normalization.std = [0]
            case .output: model.graph.output = 4000
            case .features: model.graph.features = -1
            case .logits: model.graph.logits = .max
            case .noNodes: model.graph.nodes = []
            case .neighbourCount:
                let width = 64
                model.neighbours = Neighbours(
                    features: [Float](repeating: 1, count: width), width: width, labels: [0],
                    count: -1)
            }
        }
    }

    @Test(arguments: Change.allCases)
    func `A model whose parts do not fit is refused`(change: Change) async throws {
        var model = try await tiny()
        try model.validate()
        change.make(&model)
        let changed = model
        let found = #expect(throws: (any Error).self) { try changed.validate() }
        #expect(found is any Diagnostic)
        #expect(throws: (any Error).self) { try Predictor(changed) }
        #expect(throws: (any Error).self) { try changed.predict([image]) }
        #expect(throws: (any Error).self) { try changed.values([image]) }
        #expect(throws: (any Error).self) { try changed.detect([image]) }
    }

    @Test(arguments: [(0, 96), (-1, 96), (.max, 96), (10, 0), (10, -5), (10, .max)])
    func `A network of no size is refused`(classes: Int, size: Int) {
        #expect(throws: ModelError.self) {
            try Models.untrained("graft/tiny", classes: classes, size: size)
        }
    }

    @Test func `Changes of photos are numbers`() {
        let paths: [WritableKeyPath<Augmentation, Double>] = [
            \.rotation, \.zoom, \.translation, \.crop, \.brightness, \.contrast, \.saturation,
            \.noise, \.blur, \.erasing,
        ]
        for path in paths {
            for amount in [Double.nan, .infinity, -1, 1e300] {
                var options = TrainingOptions()
                options.augmentation[keyPath: path] = amount
                #expect(throws: TrainingError.self) { try options.validate() }
            }
        }
    }

    @Test func `Errors say in a log what they say in the program`() {
        let error: any Error = FileError("open", "/nowhere", code: ENOENT)
        #expect(error.localizedDescription == "cannot open `/nowhere`: no such file or directory")
        let localized = error as? any LocalizedError
        #expect(localized?.recoverySuggestion == "check the path: nothing is there")
        #expect(localized?.failureReason == nil)
    }
}

// A task that is cancelled stops training at the next batch, and the run is resumed to the same numbers.

import Foundation
import Graft
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining
import OrderedCollections
import Synchronization
import Testing

@Suite struct CancellationTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-cancel-\(UUID().uuidString)").path

    /// When a run is cancelled.
    enum Moment: String, CaseIterable, Sendable {
        /// While photos are read.
        case reading
        /// After the first epoch.
        case firstEpoch
    }

    /// A way to train.
    enum Way: String, CaseIterable, Sendable {
        case linear, mlp, logistic, neighbours, finetuned, embedding, headFirst, augmented

        var options: TrainingOptions {
            var options = TrainingOptions()
            switch self {
            case .linear, .headFirst: break
            case .mlp: options.head = .perceptron(hidden: 8)
            case .logistic: options.head = .logistic
            case .neighbours: options.head = .neighbours
            case .finetuned: options = TrainingOptions(mode: .finetune(unfreeze: nil))
            case .embedding: break
            case .augmented:
                options = TrainingOptions(mode: .finetune(unfreeze: 1))
                options.flip = true
                options.augmentation.rotation = 5
            }
            options.epochs = 3
            options.batchSize = 4
            return options
        }

        var settings: (any TaskSettings)? {
            guard self == .embedding else { return nil }
            var settings = EmbeddingSettings()
            settings.photosPerClass = 2
            return settings
        }
    }

    private func draw(_ count: Int) throws {
        for shape in [DrawnShapes.circle, .stripes] {
            let place = "\(folder)/photos/\(shape.rawValue)"
            try FileManager.default.createDirectory(
                atPath: place, withIntermediateDirectories: true)
            for seed in 0..<count {
                try shape.image(seed: UInt64(seed), size: 32).writePNG(to: "\(place)/\(seed).png")
            }
        }
    }

    private func train(
        _ way: Way, into run: String, resume: Bool = false,
        report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) async throws -> (model: Model, result: TrainingResult) {
        try await Models.open("graft/tiny").train(
            on: PhotoSource(folder + "/photos"), options: way.options, task: way.settings,
            recipe: way == .headFirst ? .headFirst : .plain, runFolder: "\(folder)/\(run)",
            cacheFolder: "\(folder)/\(run)-cache", resume: resume, report: report)
    }

    @Test(arguments: Way.allCases, Moment.allCases)
    func `A cancelled run is resumed to the same numbers`(way: Way, moment: Moment) async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try draw(8)
        let whole = try await train(way, into: "whole")
        let epochs = Mutex(0)
        let task = Task {
            try await train(way, into: "parts") { event in
                var isNow = false
                switch event {
                case .features(let done, _, _): isNow = moment == .reading && done == 3
                case .epoch:
                    epochs.withLock { $0 += 1 }
                    isNow = moment == .firstEpoch
                default: break
                }
                // The report is made by the task that trains.
                if isNow { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        let outcome = await task.result
        #expect(throws: CancellationError.self) { try outcome.get() }
        #expect(epochs.withLock { $0 } == (moment == .reading ? 0 : 1))
        let resumed = try await train(way, into: "parts", resume: true)
        for (name, tensor) in whole.result.weights.tensors {
            let other = try #require(resumed.result.weights[name])
            #expect(try tensor.load().floats == other.load().floats, "\(name)")
        }
        #expect(whole.result.history.map(\.epoch) == resumed.result.history.map(\.epoch))
        #expect(whole.model.neighbours?.bank == resumed.model.neighbours?.bank)
    }

    @Test func `A cancelled task does not start to read photos or to predict`() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try draw(2)
        let model = try await Models.open("graft/tiny")
        let image = try Image(width: 8, height: 8)
        let photos = folder + "/photos"
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            #expect(throws: CancellationError.self) { try PhotoFolder.open(photos) }
            #expect(throws: CancellationError.self) { try model.predict([image]) }
        }
        await task.value
    }
}

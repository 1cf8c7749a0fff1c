// What a network's last layer makes of its answer: an activation once, numbers, binary and many labels.

import Foundation
import Graft
import GraftExecution
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining
import Testing

@Suite struct AnswerTests {
    /// A network whose scores do not depend on the image: `biases`, then `ending`.
    private func model(
        _ biases: [Float], _ ending: Op?, channels: Int = 3, labels: [String] = []
    ) throws -> Model {
        var builder = try GraphBuilder(naming: .torch, input: [1, channels, 8, 8])
        var x = try builder.add(
            .globalAveragePool(keepsDimensions: false), name: "pool", inputs: [0])
        let features = x
        x = try builder.add(
            .linear(outputs: biases.count, bias: true), name: "fc", inputs: [x])
        let scores = x
        if let ending { x = try builder.add(ending, name: "end", inputs: [x]) }
        let graph = builder.graph(name: "net", output: x, features: features, logits: scores)
        var weights = StateDict()
        weights["fc.weight"] = LazyTensor(
            Tensor(
                [Float](repeating: 0, count: biases.count * channels),
                shape: [biases.count, channels]))
        weights["fc.bias"] = LazyTensor(Tensor(biases, shape: [biases.count]))
        let pixels = try #require(Normalization.unit.forChannels(channels))
        return Model(
            graph: graph, weights: weights,
            preprocessing: .squash(height: 8, width: 8, pixels), labels: labels,
            source: Model.Source(reference: "net", sha256: ""))
    }

    private let image = Image(filling: .black, 9, 7)

    private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

    /// The file that a model is written to and read from again.
    private func reopened(_ model: Model) throws -> Model {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-answer-\(UUID().uuidString).safetensors").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try model.write(to: path)
        return try Model.open(path)
    }

    @Test func softmaxIsAppliedOnce() throws {
        let plain = try reopened(try model([1, 2, 4], nil))
        let own = try reopened(try model([1, 2, 4], .softmax))
        let expected = [1.0, 2, 4].map { exp($0) / (exp(1) + exp(2) + exp(4)) }
        for model in [plain, own] {
            #expect(model.task == .classification)
            let found = try model.predict([image], top: 3)[0]
            for prediction in found {
                #expect(abs(Double(prediction.probability) - expected[prediction.index]) < 1e-6)
            }
        }
    }

    @Test func oneSigmoidIsABinaryClassifier() throws {
        let model = try reopened(try model([-0.7], .activation(.sigmoid)))
        #expect(model.task == .classification && model.isBinary)
        let alone = try model.predict([image])[0]
        #expect(alone.count == 1 && alone[0].holds == false)
        #expect(abs(Double(alone[0].probability) - sigmoid(-0.7)) < 1e-6)

        var named = model
        named.labels = ["cat", "dog"]
        let both = try reopened(named).predict([image])[0]
        #expect(both.map(\.label) == ["cat", "dog"])
        #expect(abs(Double(both[1].probability) - sigmoid(-0.7)) < 1e-6)
        #expect(abs(Double(both[0].probability) - sigmoid(0.7)) < 1e-6)
    }

    @Test func severalSigmoidsAreLabelsByThemselves() throws {
        let model = try reopened(try model([-2, 0.5, 3], .activation(.sigmoid)))
        #expect(model.task == .multiLabel && model.thresholds == [0.5, 0.5, 0.5])
        let found = try model.predict([image], top: 9)[0]
        #expect(found.map(\.index) == [2, 1, 0])
        #expect(found.map(\.holds) == [true, true, false])
        for (prediction, score) in zip(found, [3, 0.5, -2]) {
            #expect(abs(Double(prediction.probability) - sigmoid(score)) < 1e-6)
        }
    }

    @Test func otherActivationsAreNumbers() throws {
        let model = try reopened(try model([2, -1], .activation(.relu)))
        #expect(model.task == .regression)
        #expect(try model.values([image])[0].map(\.value) == [2, 0])
    }

    /// What an option says of a linear output stays with the file.
    @Test func oneScoreCanBeSaidToBeAProbability() throws {
        var overrides = ModelOverrides()
        overrides.activation = .sigmoid
        let model = try reopened(try model([1.5], nil).with(overrides))
        #expect(model.task == .classification)
        #expect(abs(Double(try model.predict([image])[0][0].probability) - sigmoid(1.5)) < 1e-6)

        overrides.activation = nil
        overrides.labels = ["no", "yes"]
        let named = try reopened(try self.model([1.5], nil).with(overrides))
        #expect(try named.predict([image])[0].map(\.label) == ["yes", "no"])

        overrides.labels = ["a", "b", "c"]
        #expect(throws: ModelError.self) { try self.model([1.5], nil).with(overrides) }
        overrides.labels = nil
        overrides.activation = .sigmoid
        #expect(throws: ModelError.self) { try self.model([1, 2], .softmax).with(overrides) }
    }

    /// Grey and other channel counts survive the file; an image becomes grey for one channel.
    @Test(arguments: [1, 2, 4, 7]) func channelsSurvive(_ channels: Int) throws {
        let model = try reopened(try model([1, 2], .softmax, channels: channels))
        #expect(model.input(count: 2) == [2, channels, 8, 8])
        guard channels == 1 else {
            let error = #expect(throws: ModelError.self) { try model.predict([image]) }
            #expect(error?.message.contains("\(channels) channels") == true)
            return
        }
        let colored = Image(filling: Color(200, 100, 50), 1, 1)
        // Pillow's convert("L").
        #expect(colored.grey()[0, 0] == Color(124, 124, 124))
        #expect(
            try model.preprocessing.tensor(colored).floats.allSatisfy {
                abs($0 - 124.0 / 255) < 1e-6
            })
        #expect(try model.predict([image])[0].count == 2)
    }

    @Test func callersGetErrorsAndNoTraps() throws {
        var model = try model([1, 2], .softmax)
        #expect(try model.predict([image], top: -1)[0].isEmpty)
        #expect(throws: ExecutionError.self) { try Runner(model, output: 99_999) }
        #expect(throws: ExecutionError.self) { try Runner(model, output: -1) }
        model.task = .multiLabel
        #expect(throws: ModelError.self) { try model.predict([image]) }
        model.task = .classification
        model.labels = ["one"]
        #expect(throws: ModelError.self) { try model.predict([image]) }
    }
}

// What a model says of photos: classes, labels or numbers.

public import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

/// A model made ready to answer. Any thread may ask it, one at a time, with the same answers.
public final class Predictor {
    /// The model that answers.
    public let model: Model
    private let runner: Runner
    private let answer: Model.Answer

    /// Plans `model` for batches of `batch` photos.
    ///
    /// - Throws: `ModelError.unusable` if the network ends in features, takes no images, or has
    ///   other labels or thresholds than outputs; what ``Model/validate()`` throws.
    public init(_ model: Model, batch: Int = 8) throws {
        try model.validate()
        answer = try model.answer()
        try model.requireImages()
        self.model = model
        runner = try Runner(model, batch: batch, output: answer.node)
    }

    /// Photo by photo: the share of each class, of each label by itself, the numbers, or the vector.
    public func answers(_ images: [Image]) throws -> [[Float]] {
        try answers(of: try runner.run(images))
    }

    /// As ``answers(_:)``, of images that are prepared already.
    package func answers(_ images: [PreparedImage]) throws -> [[Float]] {
        try answers(of: try runner.run(images))
    }

    private func answers(of rows: [[Float]]) throws -> [[Float]] {
        if let neighbours = model.neighbours {
            return try neighbours.probabilities(
                rows.flatMap { $0 }, classes: model.labels.count)
        }
        return model.answers(rows, answer)
    }
}

/// A class or label and how probable it is.
public struct Prediction: Sendable, Hashable, Codable {
    /// The class's index among the logits.
    public var index: Int
    /// The class's name.
    public var label: String
    /// Its share of the softmax, 0 to 1; of labels, its own probability.
    public var probability: Float
    /// Of labels, whether it is said to hold: at its threshold or above. Of a binary classifier
    /// without two labels, whether its one probability is a half or more.
    public var holds: Bool?
}

/// A number that a model tells.
public struct PredictedValue: Sendable, Hashable, Codable {
    /// What it is called.
    public var name: String
    /// The number.
    public var value: Float
}

extension Model {
    /// The most probable classes or labels of each image, best first.
    ///
    /// - Parameter top: how many per image; clamped to 0 … the number of classes.
    /// - Throws: `ModelError.unusable` if the network does not classify.
    public func predict(_ images: [Image], top: Int = 5) throws -> [[Prediction]] {
        guard task == .classification || task == .multiLabel else { throw refusesClasses() }
        let predictor = try Predictor(self, batch: min(8, max(images.count, 1)))
        return try predictor.answers(images).map { predictions($0, top: top) }
    }

    /// The most probable of the classes or labels that have these probabilities.
    func predictions(_ probabilities: [Float], top: Int) -> [Prediction] {
        // Of equal probabilities the first class wins, so that the order is always the same.
        let best = probabilities.withUnsafeBufferPointer { Ranking.top(top, of: $0) }
        let isAlone = probabilities.count == 1 && isBinary
        return best.map { index in
            let probability = probabilities[index]
            let threshold = thresholds.indices.contains(index) ? thresholds[index] : 0.5
            return Prediction(
                index: index,
                label: labels.indices.contains(index)
                    ? labels[index] : isAlone ? "positive" : "\(index)",
                probability: probability,
                holds: task == .multiLabel || isAlone ? probability >= threshold : nil)
        }
    }

    /// Why the model answers no classes.
    func refusesClasses() -> ModelError {
        let (reason, hint): (String, String?) =
            switch task {
            case .detection: ("the network finds boxes, not the class of an image", nil)
            case .embedding:
                (
                    "the network tells how alike images are, not classes",
                    "`graft features` gives their vectors"
                )
            default: ("the network predicts values, not classes", nil)
            }
        return .unusable(graph.name, reason: reason, hint: hint)
    }

    /// The values of a row of answers, by name.
    func values(_ row: [Float]) -> [PredictedValue] {
        row.enumerated().map { index, value in
            PredictedValue(
                name: labels.indices.contains(index) ? labels[index] : "\(index)", value: value)
        }
    }

    /// The numbers that the network tells of each photo.
    ///
    /// - Throws: `ModelError.unusable` if it classifies.
    public func values(_ images: [Image]) throws -> [[PredictedValue]] {
        guard task == .regression else {
            throw ModelError.unusable(
                graph.name, reason: "the network tells classes, not numbers", hint: nil)
        }
        let predictor = try Predictor(self, batch: min(8, max(images.count, 1)))
        return try predictor.answers(images).map { values($0) }
    }
}

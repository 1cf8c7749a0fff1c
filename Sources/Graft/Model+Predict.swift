// What a model says of photos: classes, labels or numbers.

public import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

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

extension Model {
    /// The most probable classes or labels of each image, best first.
    ///
    /// - Parameter top: how many per image; clamped to 0 … the number of classes.
    /// - Throws: `ModelError.unusable` if the network does not classify.
    public func predict(_ images: [Image], top: Int = 5) throws -> [[Prediction]] {
        try answers(to: images, ClassAnswer.self, top: top, else: refusesClasses())
            .map(\.predictions)
    }

    /// The numbers that the network predicts of each image.
    ///
    /// - Throws: `ModelError.unusable` if it predicts none.
    public func values(_ images: [Image]) throws -> [[PredictedValue]] {
        let refusal = ModelError.unusable(
            graph.name, reason: "the network tells classes, not numbers", hint: nil)
        return try answers(to: images, ValueAnswer.self, else: refusal).map(\.values)
    }

    /// What is found in each image, the best first, from `threshold` on.
    ///
    /// - Throws: `ModelError.unusable` if the network finds no boxes.
    public func detect(_ images: [Image], threshold: Double = 0.5) throws -> [[FoundThing]] {
        let refusal = ModelError.unusable(
            graph.name, reason: "the network finds no boxes",
            hint: "train one that does: `graft train ANNOTATIONS --task detection …`")
        return try answers(to: images, ObjectAnswer.self, threshold: threshold, else: refusal)
            .map(\.things)
    }

    /// The answers to images, where they are of one kind.
    private func answers<Answer: TaskAnswer>(
        to images: [Image], _: Answer.Type, top: Int = 5, threshold: Double? = nil,
        else refusal: ModelError
    ) throws -> [Answer] {
        let answers = try ImageAnswers(
            self, batch: min(8, max(images.count, 1)), top: top, threshold: threshold,
            expecting: Answer.self, else: refusal)
        return try answers.answers(images.map { PreparedImage($0, preprocessing) })
            .map { answer in
                guard let answer = answer as? Answer else { throw refusal }
                return answer
            }
    }

    /// Why the model answers no classes.
    func refusesClasses() -> ModelError {
        let refusal = task.traits.refusesClasses
        return .unusable(
            graph.name, reason: refusal?.reason ?? "the network predicts no classes",
            hint: refusal?.hint)
    }
}

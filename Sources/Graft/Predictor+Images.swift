// What a model answers of images that are prepared already, whatever its task.

internal import GraftImages
internal import GraftTensors
package import GraftTraining

/// A model made ready to answer images one after the other; used by one thread at a time.
package final class ImageAnswers {
    private let predictor: Predictor
    private let task: any TaskAnswers

    /// The model that answers.
    package var model: Model { predictor.model }

    /// Plans `model` for batches of `batch` images.
    ///
    /// - Parameters:
    ///   - top: The number of classes or labels of an answer.
    ///   - threshold: The score from which an object is found or a label holds; the task's or the
    ///     model's own where nil.
    /// - Throws: `ModelError.unusable` if the model's answers are none that a person could read.
    package init(_ model: Model, batch: Int, top: Int, threshold: Double?) throws {
        task = try model.asTask {
            try $0.answers(model.answerSite(top: top, threshold: threshold))
        }
        predictor = try Predictor(model, batch: batch)
    }

    /// As ``init(_:batch:top:threshold:)``, for one kind of answer.
    convenience init<Answer: TaskAnswer>(
        _ model: Model, batch: Int, top: Int, threshold: Double?, expecting: Answer.Type,
        else refusal: ModelError
    ) throws {
        guard model.task.kind.answers(as: Answer.self) else { throw refusal }
        try self.init(model, batch: batch, top: top, threshold: threshold)
    }

    /// How large an image has to be decoded; nil is whole.
    package var covering: Int? { task.covering(model.preprocessing) }

    /// The answers in the order of the images.
    package func answers(_ images: [PreparedImage]) throws -> [any TaskAnswer] {
        zip(images, try predictor.answers(images)).map { image, row in
            task.answer(row, width: image.width, height: image.height)
        }
    }
}

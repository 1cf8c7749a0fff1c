// What a model answers of images that are prepared already, whatever its task.

internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

/// What a model answers of an image.
package enum ImageAnswer: Sendable {
    /// The most probable classes or labels, best first.
    case classes([Prediction])
    /// The values of a regression.
    case values([PredictedValue])
    /// The objects at the threshold or above, and the best score of any.
    case objects([FoundThing], best: FoundThing?)
}

/// A model made ready to answer images one after the other; used by one thread at a time.
package final class ImageAnswers {
    private let predictor: Predictor
    private let detector: Detector?
    private let top: Int
    private let threshold: Double?

    /// The model that answers.
    package var model: Model { predictor.model }

    /// Plans `model` for batches of `batch` images.
    ///
    /// - Parameters:
    ///   - top: The number of classes or labels of an answer.
    ///   - threshold: The score from which an object is found, by default 0.5, or a label holds, by
    ///     default the model's own.
    /// - Throws: `ModelError.unusable` if the model answers neither classes nor values nor boxes.
    package init(_ model: Model, batch: Int, top: Int, threshold: Double?) throws {
        guard model.task != .embedding else { throw model.refusesClasses() }
        detector = model.task == .detection ? try model.detector() : nil
        predictor = try Predictor(model, batch: batch)
        (self.top, self.threshold) = (max(top, 0), threshold)
    }

    /// How large an image has to be decoded: boxes are in the pixels of the whole image.
    package var covering: Int? { detector == nil ? model.preprocessing.covering : nil }

    /// The answers in the order of the images.
    package func answers(_ images: [PreparedImage]) throws -> [ImageAnswer] {
        zip(images, try predictor.answers(images)).map { image, row in
            if let detector {
                let found = model.found(
                    row, detector, width: Double(image.width), height: Double(image.height))
                let least = threshold ?? 0.5
                return .objects(found.filter { $0.score >= least }, best: found.first)
            }
            if model.task == .regression { return .values(model.values(row)) }
            var predictions = model.predictions(row, top: top)
            if let threshold, model.task == .multiLabel {
                for index in predictions.indices {
                    predictions[index].holds = Double(predictions[index].probability) >= threshold
                }
            }
            return .classes(predictions)
        }
    }
}

// The figures of a run: `metrics.json`.

import GraftTensors

/// `metrics.json`: how well the best epoch does on the validation images. The figures of the task stand
/// among the others by their names: see ``Measured``.
public struct TrainingMetrics: Measured, Sendable {
    /// The task.
    public var task: LearningTask
    /// The names of the classes.
    public var classes: [String]
    /// The epoch whose weights are kept, counted from 1.
    public var bestEpoch: Int
    /// The number of epochs that ran.
    public var epochs: Int
    /// The number of training images.
    public var trainingPhotos: Int
    /// The number of validation images.
    public var validationPhotos: Int
    /// The number of images that could not be read.
    public var skippedPhotos: Int
    /// The mean validation loss.
    public var loss: Double?
    /// The figures of the task, of the calibrated head where it was calibrated.
    public var figures: any TaskMetrics
    /// The temperature that the head was calibrated by; nil where that was not asked for, or none
    /// fitted.
    public var temperature: Temperature?
    /// Why the run ended before its time; nil of a whole run. What else is here is of the best epoch
    /// until then.
    public var failure: RunFailure?

    init(
        task: LearningTask, classes: [String], bestEpoch: Int, epochs: Int, trainingPhotos: Int,
        validationPhotos: Int, skippedPhotos: Int, figures: any TaskMetrics
    ) {
        self.task = task
        self.classes = classes
        self.bestEpoch = bestEpoch
        self.epochs = epochs
        self.trainingPhotos = trainingPhotos
        self.validationPhotos = validationPhotos
        self.skippedPhotos = skippedPhotos
        self.figures = figures
    }

    /// The measure of the best epoch.
    public var measure: Double? { figures.measure }
}

extension TrainingMetrics: Codable, Equatable {
    private enum CodingKeys: String, CodingKey {
        case task, classes, bestEpoch, epochs, trainingPhotos, validationPhotos, skippedPhotos
        case loss, temperature, failure
    }

    /// Reads `metrics.json`, of earlier versions too.
    public init(from decoder: any Decoder) throws {
        let keys = try decoder.container(keyedBy: CodingKeys.self)
        task = try keys.decode(LearningTask.self, forKey: .task)
        classes = try keys.decode([String].self, forKey: .classes)
        bestEpoch = try keys.decode(Int.self, forKey: .bestEpoch)
        epochs = try keys.decode(Int.self, forKey: .epochs)
        trainingPhotos = try keys.decode(Int.self, forKey: .trainingPhotos)
        validationPhotos = try keys.decode(Int.self, forKey: .validationPhotos)
        skippedPhotos = try keys.decode(Int.self, forKey: .skippedPhotos)
        loss = try keys.decodeIfPresent(Double.self, forKey: .loss)
        temperature = try keys.decodeIfPresent(Temperature.self, forKey: .temperature)
        failure = try keys.decodeIfPresent(RunFailure.self, forKey: .failure)
        figures = try task.kind.figures(from: decoder)
    }

    /// Writes the figures of the task beside the others.
    public func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(task, forKey: .task)
        try keys.encode(classes, forKey: .classes)
        try keys.encode(bestEpoch, forKey: .bestEpoch)
        try keys.encode(epochs, forKey: .epochs)
        try keys.encode(trainingPhotos, forKey: .trainingPhotos)
        try keys.encode(validationPhotos, forKey: .validationPhotos)
        try keys.encode(skippedPhotos, forKey: .skippedPhotos)
        try keys.encodeIfPresent(loss, forKey: .loss)
        try keys.encodeIfPresent(temperature, forKey: .temperature)
        try keys.encodeIfPresent(failure, forKey: .failure)
        try figures.encode(to: encoder)
    }

    /// Whether all figures are the same.
    public static func == (first: TrainingMetrics, second: TrainingMetrics) -> Bool {
        first.task == second.task && first.classes == second.classes
            && first.bestEpoch == second.bestEpoch && first.epochs == second.epochs
            && first.trainingPhotos == second.trainingPhotos
            && first.validationPhotos == second.validationPhotos
            && first.skippedPhotos == second.skippedPhotos && first.loss == second.loss
            && first.temperature == second.temperature && first.failure == second.failure
            && first.figures.equals(second.figures)
    }
}

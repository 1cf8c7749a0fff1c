// The tag of a task in files and options, and the one place where it becomes a type.

/// A kind of answers.
public enum LearningTask: String, Sendable, Hashable, Codable, CaseIterable {
    /// One of several classes: softmax.
    case classification
    /// Any of several labels: a sigmoid and a threshold for each.
    case multiLabel = "multi-label"
    /// One or more numbers.
    case regression
    /// A vector of length 1 that is near those of images of the same class.
    case embedding
    /// Boxes around objects, and their classes.
    case detection
    /// The one object of an image: its class and its box.
    case localization
    /// The class of each pixel.
    case segmentation
}

extension LearningTask {
    /// The type that knows everything about the task.
    package var kind: any TaskKind.Type {
        switch self {
        case .classification: Classification.self
        case .multiLabel: MultiLabel.self
        case .regression: Regression.self
        case .embedding: Embedding.self
        case .detection: BoxDetection.self
        case .localization: Localization.self
        case .segmentation: Segmentation.self
        }
    }

    /// The facts about the task that need no data.
    package var traits: TaskTraits { kind.traits }

    /// The measure of an epoch, such as `accuracy`.
    public var measure: String { traits.measure }
}

extension Labelling {
    /// The task that learns what is known of each image as it is.
    package var usualTask: LearningTask {
        switch self {
        case .oneClass: .classification
        case .labels: .multiLabel
        case .values: .regression
        }
    }
}

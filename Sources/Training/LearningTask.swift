// What is to be learned of a photo: one class, any number of labels, or numbers.

/// What a head answers.
public enum LearningTask: String, Sendable, Hashable, Codable, CaseIterable {
    /// One of several classes: softmax.
    case classification
    /// Any of several labels: a sigmoid and a threshold for each.
    case multiLabel = "multi-label"
    /// One or more numbers.
    case regression
    /// A vector of length 1 that is near those of photos of the same class.
    case embedding
    /// Boxes around things, and what they are.
    case detection

    /// Whether a photo is of one class.
    var hasClasses: Bool { self == .classification || self == .embedding }

    /// What an epoch is judged by: the share that is right; the mean average precision; R²; the
    /// share of photos whose nearest other is of their class; COCO's average precision.
    public var measure: String {
        switch self {
        case .classification: "accuracy"
        case .multiLabel: "mAP"
        case .regression: "R2"
        case .embedding: "recall@1"
        case .detection: "AP"
        }
    }
}

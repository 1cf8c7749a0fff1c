// Which of the images of an evaluation the model was trained on.

internal import GraftTensors
public import GraftTraining

/// What is known about the images of an evaluation that the model was trained on.
public struct TrainingOverlap: Sendable, Encodable {
    /// How images were recognised; nil if nothing says what the model was trained on.
    public internal(set) var evidence: TrainedImages.Evidence?
    /// The images that the model was trained on, left out or not.
    public internal(set) var images = 0
    /// Whether they are among those that were measured.
    public let areIncluded: Bool
    /// Why training images cannot be recognised.
    public internal(set) var unknown: Unknown?

    /// Why training images cannot be recognised.
    public enum Unknown: Sendable, Encodable, Equatable {
        /// The model says that it was trained on this number of images, and its split is not beside it.
        case splitMissing(images: Int)
        /// The split beside the model is of another run.
        case otherSplit(String)
        /// Nothing says what the model was trained on.
        case unrecorded

        /// The reason in one word.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .splitMissing: try container.encode("split-missing")
            case .otherSplit: try container.encode("other-split")
            case .unrecorded: try container.encode("unrecorded")
            }
        }
    }
}

extension Model {
    /// The split of the run that made this model, where it lies beside the model's file.
    func trainedImages() -> (images: TrainedImages?, unknown: TrainingOverlap.Unknown?) {
        let beside = file.flatMap { file in
            file.lastIndex(of: "/").map { String(file[...$0]) + "split.json" }
        }
        // What is beside it and cannot be read says as little as what is not there.
        let split = beside.flatMap { try? Split.read($0) }
        guard let beside, let split else {
            return (nil, training.map { .splitMissing(images: $0.images) } ?? .unrecorded)
        }
        // Models of older versions do not say which split is theirs: the one beside them is believed.
        if let training, training != TrainingOrigin(split) { return (nil, .otherSplit(beside)) }
        return (TrainedImages(split), nil)
    }
}

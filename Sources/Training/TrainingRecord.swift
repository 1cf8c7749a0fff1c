// What a run says while it goes on, and what it leaves behind.

public import GraftNetworks
public import GraftTensors

/// The numbers of one epoch: a row of `log.csv`.
public struct EpochRecord: Sendable, Hashable, Codable {
    /// Counted from 1.
    public var epoch: Int
    /// The mean loss over the photos that were learned from, as they were met.
    public var trainingLoss: Double
    /// The share of them that was right, as they were met, or what else the task is judged by:
    /// see ``LearningTask/measure``; nil where that is undefined.
    public var trainingAccuracy: Double?
    /// The mean loss over the validation photos; nil without any.
    public var validationLoss: Double?
    /// The share of them that was right, or what else the task is judged by; nil without any, and
    /// where it is undefined, as R² of one image is.
    public var validationAccuracy: Double?
    /// The learning rate of the last step.
    public var learningRate: Double
    /// The penalty of a logistic head.
    public var penalty: Double?
    /// How many neighbours were asked.
    public var neighbours: Int?

    /// Whether there were steps or a fit: asking neighbours learns nothing, and its training numbers are
    /// zeros that say nothing.
    public var isLearned: Bool { neighbours == nil }

    /// Whether this epoch is to be preferred: a higher validation accuracy, then a lower loss; the
    /// later one where nothing was validated.
    func isBetter(than other: EpochRecord) -> Bool {
        if let accuracy = validationAccuracy, let best = other.validationAccuracy, accuracy != best
        {
            return accuracy > best
        }
        guard let loss = validationLoss, let least = other.validationLoss else {
            return validationAccuracy == nil
        }
        return loss < least
    }

    static func csv(_ history: [EpochRecord], _ task: LearningTask) -> String {
        let name = task.measure
        var text =
            "epoch,training_loss,training_\(name),validation_loss,validation_\(name),"
            + "learning_rate,penalty\n"
        for row in history {
            let numbers: [Double?] = [
                row.isLearned ? row.trainingLoss : nil, row.isLearned ? row.trainingAccuracy : nil,
                row.validationLoss, row.validationAccuracy,
                row.learningRate, row.penalty,
            ]
            text +=
                "\(row.epoch)," + numbers.map { $0.map { "\($0)" } ?? "" }.joined(separator: ",")
            text += "\n"
        }
        return text
    }
}

/// What a run learns from and validates on, class by class.
public struct TrainingData: Sendable, Hashable {
    /// The classes, labels or values.
    public var classes: [String]
    /// The training images of each class, or with each label; of values, all.
    public var training: [Int]
    /// The validation images of each class, or with each label; of values, all.
    public var validation: [Int]
    /// The number of training images.
    public var trainingImages: Int
    /// The number of validation images.
    public var validationImages: Int
    /// The annotated boxes of each class, training and validation together; empty where none are learned.
    public var boxes: [Int] = []
}

/// What a run reports while it goes on.
public enum TrainingEvent: Sendable {
    /// What is learned from and validated on, before anything is computed.
    case data(TrainingData)
    /// So many of the steps of an epoch are done, of at most `epochs`.
    case step(done: Int, of: Int, epoch: Int, epochs: Int)
    /// Where the network was cut and how much of it learns.
    case started(cut: String, trainableParameters: Int, parameters: Int)
    /// A photo cannot be read and is left out.
    case skipped(path: String, reason: String)
    /// A validation photo has the same bytes as one that is learned from: scores will flatter.
    case duplicate(path: String, of: String)
    /// `done` of `total` photos are read; `reused` of them were in the cache.
    case features(done: Int, total: Int, reused: Int)
    /// The run goes on after this epoch.
    case resumed(epoch: Int)
    /// An epoch is over; `isBest` so far.
    case epoch(EpochRecord, isBest: Bool)
    /// Nothing has become better for a while.
    case stoppedEarly(epoch: Int, best: Int)
    /// No temperature fits the validation photos: the head stays as it was learned.
    case uncalibrated(String)
    /// The run has failed, and so has saying so in its folder.
    case unrecorded(String)
}

/// What a run makes.
public struct TrainingResult: Sendable {
    /// The backbone with its new head; the output are the logits.
    public var graph: Graph
    /// All weights of ``graph``: the frozen ones as they came, the others of the best epoch.
    public var weights: StateDict
    /// The names of the classes, in the order of the logits.
    public var classes: [String]
    /// One row per epoch.
    public var history: [EpochRecord]
    /// How well it does on the validation photos.
    public var metrics: TrainingMetrics
    /// How many photos' features came out of the cache.
    public var reusedFeatures: Int
    /// The photos to ask, where these are the head; ``graph`` ends in features then.
    public var neighbours: Neighbours?
    /// Which images were learned from, and which were validated on.
    public internal(set) var split: Split?
}

// What embeddings are learned by: how long they are, the loss, and how batches are put together.

/// The settings of a run that learns embeddings: unit vectors that are near each other where photos
/// are of one class, of classes too that were never learned from.
public struct EmbeddingSettings: TaskSettings {
    /// Embeddings.
    public static let task = LearningTask.embedding
    /// The numbers of a vector.
    public var size = 128
    /// What is made small.
    public var loss = EmbeddingLoss()
    /// The photos of each class in a batch; the batch size over this is how many classes it has.
    public var photosPerClass = 4

    /// The defaults.
    public init() {}

    /// The length, the loss and the batches.
    public var reported: [(name: String, value: String)] {
        [
            ("embedding", "\(size)"),
            (
                "loss",
                loss.kind.rawValue + (loss.kind == .tripletSoft ? "" : ", margin \(loss.margin)")
                    + (loss.kind.hasProxies ? ", scale \(loss.scale)" : "")
            ), ("photos of a class in a batch", "\(photosPerClass)"),
        ]
    }

    /// Throws ``TrainingError/option(_:expected:found:)`` for a value that makes no sense.
    func validate(_ options: TrainingOptions) throws(TrainingError) {
        func check(
            _ holds: Bool, _ name: String, _ expected: String, _ found: any CustomStringConvertible
        ) throws(TrainingError) {
            guard holds else {
                throw .option(name, expected: expected, found: found.description)
            }
        }
        try check((1...65536).contains(size), "length of an embedding", "1 to 65536", size)
        try check(
            loss.margin > 0 && loss.margin.isFinite, "margin", "a number above 0", loss.margin)
        try check(
            loss.kind != .arcFace || loss.margin < 3.14, "margin", "an angle below π", loss.margin)
        try check(loss.scale > 0 && loss.scale.isFinite, "scale", "a number above 0", loss.scale)
        let least = loss.kind.hasProxies ? 1 : 2
        try check(
            photosPerClass >= least, "photos of a class in a batch",
            "\(least) or more for \(loss.kind.rawValue)", photosPerClass)
        try check(
            options.batchSize / 2 >= photosPerClass, "batch size",
            "room for 2 classes of \(photosPerClass) photos", options.batchSize)
        try check(
            options.labelSmoothing == 0, "label smoothing", "0 for embeddings",
            options.labelSmoothing)
        try check(
            options.balance == .none, "balance",
            "none for embeddings, whose batches have their classes alike", options.balance.rawValue)
        if !options.head.hasEpochs {
            throw .option(
                "head", expected: "linear or mlp for embeddings",
                found: options.head == .logistic ? "logistic" : "knn")
        }
    }
}

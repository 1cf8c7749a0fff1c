// Vectors of length 1 that are near each other for images of one class, of unseen classes too.

import GraftImages
import GraftNetworks
import GraftTensors

/// Learns vectors from classes.
struct Embedding: Objective {
    typealias Metrics = EmbeddingMetrics
    typealias Answer = VectorAnswer
    static let task = LearningTask.embedding
    static let settings: (any TaskSettings.Type)? = EmbeddingSettings.self
    static let traits: TaskTraits = {
        var traits = TaskTraits(.oneClass, measure: "recall@1", subject: "embeddings") { _ in
            "classes, by likeness"
        }
        traits.allowsUnseenClasses = true
        traits.answersRaw = true
        traits.isVector = true
        traits.outputNote = "A vector of length 1."
        // Pairs are looked for within a batch: its parts on several machines would have others.
        traits.requiresOneProcess = "1 to learn embeddings"
        traits.refusesBlending = "none for embeddings"
        traits.refusesClasses = (
            "the network tells how alike images are, not classes",
            "`graft features` gives their vectors"
        )
        return traits
    }()

    let setting: ObjectiveSetting
    let embedding: EmbeddingSettings

    init(_ setting: ObjectiveSetting) {
        self.setting = setting
        embedding = setting.settings as? EmbeddingSettings ?? EmbeddingSettings()
    }

    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError) {
        try (settings as? EmbeddingSettings ?? EmbeddingSettings()).validate(options)
    }

    func network(on backbone: Graph, input: Shape) throws -> Graph {
        try backbone.withEmbedding(
            size: embedding.size, hidden: setting.options.head.hidden,
            dropout: setting.options.dropout)
    }

    /// The network, and beside it a vector of each class that the loss reads.
    func learner(_ network: any Learner) -> any Learner {
        guard embedding.loss.kind.hasProxies else { return network }
        return ProxyLearner(
            network, classes: setting.classes.count - setting.unseen, width: embedding.size,
            seed: setting.options.seed)
    }

    /// Throws where no validation image has another of its class to find.
    func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) throws {
        guard !validation.isEmpty, Set(validation.map(\.classIndex)).count == validation.count
        else { return }
        throw TrainingError.option(
            "validation set", expected: "two photos of a class or more, to find one by the other",
            found: "one photo of each")
    }

    func target(of item: PhotoFolder.Item, seen: ViewChange) -> Int { item.classIndex }

    /// Batches that have their classes alike: others would have no pairs to learn from.
    func batches(of items: [PhotoFolder.Item], using random: inout RandomSource) -> [[Int]] {
        classBatches(items.map(\.classIndex)).draw(&random)
    }

    private func classBatches(_ labels: [Int]) -> ClassBatches {
        ClassBatches(
            labels, size: setting.options.batchSize, photosPerClass: embedding.photosPerClass)
    }

    func loss(
        of outputs: [OutputView], against batch: TargetBatch<Int>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double {
        Double(batch.targets.count)
            * embedding.loss.mean(
                outputs[0].values, width: outputs[0].width, labels: batch.targets,
                proxies: (learner as? ProxyLearner)?.proxies, gradient: gradients[0])
    }

    var nothingMet: Classification.Met { Classification.Met() }

    /// Counts the images that are nearest to one of their own class in the batch.
    func note(_ outputs: [OutputView], against targets: [Int], in met: inout Classification.Met) {
        let distances = PairDistances(
            outputs[0].values, width: outputs[0].width, count: targets.count)
        met.correct += targets.indices.count { row in
            let nearest = targets.indices.filter { $0 != row }
                .min { distances[row, $0] < distances[row, $1] }
            return nearest.map { targets[$0] == targets[row] } ?? false
        }
    }

    func measure(of met: Classification.Met, images: Int) -> Double? {
        Double(met.correct) / Double(max(images, 1))
    }

    /// The score of judged images.
    struct Score: ImageScore {
        var loss = 0.0
        var isLossKnown = true
        var measure: Double?
        /// Image by image.
        var vectors: [[Float]] = []
        var labels: [Int] = []
    }

    var nothingJudged: Score { Score() }

    func judge(
        _ outputs: [OutputView], against targets: [Int], learner: any Learner, in score: inout Score
    ) {
        for row in targets.indices { score.vectors.append(Array(outputs[0][row])) }
        score.labels += targets
    }

    /// Vectors are judged by how they find each other. Their loss is that of batches that are the same
    /// in every epoch; of classes that have no vector there is none.
    func conclude(_ score: inout Score, images: Int, learner: any Learner) throws {
        let names = (0..<((score.labels.max() ?? 0) + 1)).map { "\($0)" }
        score.measure =
            try RetrievalMetrics.measure(
                score.vectors.flatMap { $0 }, width: embedding.size, labels: score.labels,
                classes: names)?.recallAt1
        let proxies = (learner as? ProxyLearner)?.proxies
        if let proxies, names.count > proxies.values.count / embedding.size {
            score.isLossKnown = false
            return
        }
        var fixed = RandomSource(seed: 0)
        var met = 0
        for batch in classBatches(score.labels).draw(&fixed) {
            let rows = batch.flatMap { score.vectors[$0] }
            score.loss += rows.withUnsafeBufferPointer { rows in
                Double(batch.count)
                    * embedding.loss.mean(
                        rows, width: embedding.size, labels: batch.map { score.labels[$0] },
                        proxies: proxies.map { EmbeddingLoss.Proxies($0.values) })
            }
            met += batch.count
        }
        score.loss /= Double(max(met, 1))
    }

    func metrics(of score: Score?) throws -> EmbeddingMetrics {
        EmbeddingMetrics(retrieval: try score.flatMap { try found(in: $0)?.metrics })
    }

    /// The figures of vectors that find each other, and the nearest of each.
    private func found(in score: Score) throws -> RetrievalMetrics.Found? {
        guard let width = score.vectors.first?.count else { return nil }
        return try RetrievalMetrics.find(
            score.vectors.flatMap { $0 }, width: width, labels: score.labels,
            classes: setting.classes)
    }

    var mistakesNote: String {
        "The validation photos that are most like one of another class, with that one; the "
            + "cosine of their vectors in brackets."
    }

    /// The images whose nearest other is of another class, the most alike first.
    func mistakes(in score: Score, _ metrics: EmbeddingMetrics) throws -> [Wrong] {
        let nearest = try found(in: score)?.nearest ?? []
        return nearest.enumerated().compactMap { image, found in
            let (label, other) = (score.labels[image], score.labels[found.photo])
            guard label != other else { return nil }
            return Wrong(
                image: image, shown: 0, truth: setting.classes[label],
                prediction: setting.classes[other], probability: found.cosine,
                weight: found.cosine, other: found.photo)
        }.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: EmbeddingMetrics, score: Score?) -> String {
        let counts = Dictionary(
            zip(run.classes, run.trainingCounts), uniquingKeysWith: { first, _ in first })
        let rows = (metrics.retrieval?.perClass ?? []).map { found in
            [
                found.name, "\(counts[found.name] ?? 0)", "\(found.photos)",
                HTML.number(found.recallAt1), HTML.number(found.mapAtR),
            ]
        }
        return
            "<h2>Classes</h2><p>Every validation photo asks for the others by the cosine of their "
            + "vectors.</p>\n"
            + HTML.table(["class", "learned", "validated", "Recall@1", "mAP@R"], rows)
    }
}

/// The figures of embeddings.
public struct EmbeddingMetrics: TaskMetrics {
    /// The figures of images that find others of their class; nil where no class has two.
    public var retrieval: RetrievalMetrics?

    /// Recall@1.
    public var measure: Double? { retrieval?.recallAt1 }

    /// The shares of nearest images of the same class.
    public var summary: [(name: String, value: Double?)] {
        [
            ("Recall@1", retrieval?.recallAt1), ("Recall@5", retrieval?.recallAt5),
            ("mAP@R", retrieval?.mapAtR), ("R-precision", retrieval?.rPrecision),
        ]
    }
}

extension Measured {
    /// The figures of images that find others of their class; nil where the task has no vectors.
    public var retrieval: RetrievalMetrics? { (figures as? EmbeddingMetrics)?.retrieval }
}

extension Embedding {
    /// A person reads no vectors: see `graft features`.
    struct VectorAnswer: TaskAnswer {
        let vector: [Float]
    }

    /// Throws: a model of vectors answers no image by itself.
    static func answers(_ model: AnswerSite) throws -> any TaskAnswers {
        throw TaskFlaw(
            reason: traits.refusesClasses?.reason ?? "", hint: traits.refusesClasses?.hint)
    }

    static func meter(_ model: AnswerSite, classes: [String]) -> any AnswerMeter {
        Meter(classes: classes)
    }

    /// Measures how vectors find each other.
    struct Meter: AnswerMeter {
        let classes: [String]
        private var vectors: [Float] = []
        private var width = 1
        private var labels: [Int] = []

        init(classes: [String]) { self.classes = classes }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            vectors += answer
            width = answer.count
            labels.append(item.classIndex)
        }

        func figures() throws -> (any TaskMetrics)? {
            try RetrievalMetrics.measure(vectors, width: width, labels: labels, classes: classes)
                .map { EmbeddingMetrics(retrieval: $0) }
        }
        var obstacle: String { "no class has two photos, to find one by the other" }
    }
}

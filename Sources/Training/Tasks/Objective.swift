// What is learned from images: the target, the head, the loss and the metrics of one task.
//
// The trainer, its loop and its report know this protocol and no task. A task is a type that conforms to
// it, in a folder of its own beside this file; `LearningTask.kind` is the only place that names them all.

import GraftImages
import GraftNetworks
import GraftTensors

/// A task as the training loop sees it.
protocol Objective: TaskKind {
    /// The truth about one view of an image, as the loss reads it.
    associatedtype Target: Sendable
    /// The tally of judged images.
    associatedtype Score: ImageScore
    /// The tally of the training images of an epoch as they are met.
    associatedtype Met: EpochTally

    /// The task of one run.
    init(_ setting: ObjectiveSetting) throws
    /// The facts about the run.
    var setting: ObjectiveSetting { get }

    // MARK: The network

    /// The backbone with the task's head.
    func network(on backbone: Graph, input: Shape) throws -> Graph
    /// Learns what the outputs of the network mean.
    mutating func settle(on network: Graph, input: Shape) throws
    /// The nodes whose values the loss sees.
    func outputs(of network: Graph) -> [Int]
    /// The learner: the network, or it and vectors that only the loss reads.
    func learner(_ network: any Learner) -> any Learner

    // MARK: The data

    /// Throws if nothing can be learned from the images that could be read; `reasons` says why others
    /// could not, by their class.
    func require(_ training: [PhotoFolder.Item], reasons: [Int: String]) throws(TrainingError)
    /// Looks at all images before the first step: what depends on the whole set is settled here.
    mutating func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) throws
    /// The number of images of each class.
    func counts(_ items: [PhotoFolder.Item]) -> [Int]
    /// The same before any image was opened, and the objects of each class where objects are learned.
    func survey(_ items: [PhotoFolder.Item]) -> (images: [Int], objects: [Int])
    /// The target of one view of an image.
    func target(of item: PhotoFolder.Item, seen: ViewChange) throws -> Target
    /// The batches of an epoch.
    func batches(of items: [PhotoFolder.Item], using random: inout RandomSource) -> [[Int]]

    // MARK: Learning

    /// The loss of a batch summed over its images; writes the gradient of the mean over them.
    func loss(
        of outputs: [OutputView], against batch: TargetBatch<Target>, learner: any Learner,
        gradients: [UnsafeMutableBufferPointer<Float>]
    ) -> Double
    /// The weight of an image in the mean.
    func weight(of target: Target) -> Double
    /// Notes how training images are answered, for the epoch's own measure.
    func note(_ outputs: [OutputView], against targets: [Target], in met: inout Met)
    /// Nothing noted yet.
    var nothingMet: Met { get }
    /// The measure of an epoch of `images` images; nil where it is undefined, as R² of one image is.
    func measure(of met: Met, images: Int) -> Double?

    // MARK: Judging

    /// Nothing judged yet.
    var nothingJudged: Score { get }
    /// Takes some more images, in the order of the set.
    func judge(
        _ outputs: [OutputView], against targets: [Target], learner: any Learner,
        in score: inout Score)
    /// Once all images were judged.
    func conclude(_ score: inout Score, images: Int, learner: any Learner) throws
    /// The figures of a score; of none, what is left to say.
    func metrics(of score: Score?) throws -> Metrics

    // MARK: Afterwards

    /// The temperature that calibrates the scores best; nil where none is best.
    func temperature(of score: Score) -> Double?
    /// The expected calibration error of a score.
    func calibrationError(of score: Score) -> Double?
    /// Changes what was learned into what the model holds.
    func finish(_ weights: inout StateDict, of network: Graph) throws
    /// Finds the head at its optimum, where the options ask for that instead of epochs.
    func fit(_ loop: inout TrainingLoop<Self>, in site: HeadSite<Self>) throws
    /// The result of a head that compares images with those of the run and learns nothing.
    func compare(in site: HeadSite<Self>) throws -> TrainingResult

    // MARK: The report

    /// The images that are answered wrong, the worst first.
    func mistakes(in score: Score, _ metrics: Metrics) throws -> [Wrong]
    /// The sentence of a report above the worst mistakes.
    var mistakesNote: String { get }
    /// Whether a mistake is shown with where the network looked.
    var explainsMistakes: Bool { get }
    /// The task's part of the report, as HTML.
    func reportPart(of run: RunDescription, metrics: Metrics, score: Score?) -> String
}

/// The facts about a run that a task needs.
struct ObjectiveSetting {
    let options: TrainingOptions
    let settings: (any TaskSettings)?
    /// The names of the classes.
    let classes: [String]
    /// The number of last classes that only validation images have.
    let unseen: Int
    let preprocessing: Preprocessing
    /// The name of the backbone, for messages.
    let network: String
}

/// One output of a batch: a row for each image.
struct OutputView {
    let values: UnsafeBufferPointer<Float>
    /// The numbers of an image.
    let width: Int
    /// The shape of the value for one image, without the batch.
    let shape: [Int]

    /// The numbers of one image.
    subscript(row: Int) -> UnsafeBufferPointer<Float> {
        .init(rebasing: values[(row * width)..<((row + 1) * width)])
    }
}

/// The targets of a batch, and those that its images are blended with.
struct TargetBatch<Target: Sendable> {
    let targets: [Target]
    /// The second targets, and the share that each image keeps of its own (mixup, cutmix).
    var blend: (others: [Target], share: Double)?
}

/// The tally of images that are judged.
protocol ImageScore: Sendable {
    /// The mean loss.
    var loss: Double { get }
    /// Whether there is a loss: of classes that were never learned from, some know nothing.
    var isLossKnown: Bool { get }
    /// The number by which an epoch is judged; nil where it is undefined.
    var measure: Double? { get }
}

extension ImageScore {
    var isLossKnown: Bool { true }
}

/// The tally of an epoch's training images.
protocol EpochTally: Sendable {
    /// Joins the tallies of the processes for `images` images.
    mutating func join(_ crew: any Crew, images: Int) throws
}

/// The difference between a view of an image and the image, where annotations must follow it.
enum ViewChange: Sendable, Hashable {
    /// It is the image.
    case none
    /// Left and right are exchanged.
    case mirror
    /// Each pixel comes from another place.
    case moved(AffineMap)
}

/// An image that was answered wrong, in words; `shown` is the class whose map is drawn.
struct Wrong {
    var image: Int
    var shown: Int
    var truth: String
    var prediction: String
    var probability: Float?
    var weight: Float
    /// The image that it was taken for, if it was one.
    var other: Int?
}

/// A run whose data is read: its parts, and the images as the frozen part makes them.
struct HeadSite<Goal: Objective> {
    let trainer: TaskTrainer<Goal>
    let parts: Parts
    let weights: StateDict
    let training: Samples
    let validation: Samples
}

extension Array {
    /// The elements in parts of `size`, the last as long as it happens to be.
    func parts(of size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
    }
}

extension Objective {
    mutating func settle(on network: Graph, input: Shape) throws {}
    func outputs(of network: Graph) -> [Int] { [network.logits ?? network.output] }
    func learner(_ network: any Learner) -> any Learner { network }
    mutating func prepare(training: [PhotoFolder.Item], validation: [PhotoFolder.Item]) throws {
    }
    func survey(_ items: [PhotoFolder.Item]) -> (images: [Int], objects: [Int]) {
        (counts(items), [])
    }
    func weight(of target: Target) -> Double { 1 }
    func temperature(of score: Score) -> Double? { nil }
    func calibrationError(of score: Score) -> Double? { nil }
    func finish(_ weights: inout StateDict, of network: Graph) throws {}
    func fit(_ loop: inout TrainingLoop<Self>, in site: HeadSite<Self>) throws {
        throw TrainingError.noSuchHead(setting.options.head, for: Self.task)
    }
    func compare(in site: HeadSite<Self>) throws -> TrainingResult {
        throw TrainingError.noSuchHead(setting.options.head, for: Self.task)
    }
    var explainsMistakes: Bool { false }

    package static func run(_ site: RunSite) throws -> any TaskRun {
        try TaskTrainer<Self>(site)
    }

    /// Every image once, in random order.
    func batches(of items: [PhotoFolder.Item], using random: inout RandomSource) -> [[Int]] {
        random.permutation(items.count).parts(of: setting.options.batchSize)
    }
}

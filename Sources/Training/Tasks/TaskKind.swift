// What other rooms ask of a task; its own room asks more: see `Objective`.

package import GraftImages
package import GraftNetworks
package import GraftTensors

/// Everything about a task that does not need its targets: the traits, its settings, what its models
/// answer, and how their answers are measured.
package protocol TaskKind: Sendable {
    /// The figures in `metrics.json` and in an evaluation.
    associatedtype Metrics: TaskMetrics
    /// The answer to an image.
    associatedtype Answer: TaskAnswer

    /// The tag in files.
    static var task: LearningTask { get }
    /// The facts that need no data.
    static var traits: TaskTraits { get }
    /// Settings of the task alone, if it has any.
    static var settings: (any TaskSettings.Type)? { get }

    /// Throws ``TrainingError/option(_:expected:found:)`` for a setting that the task has no use for.
    static func validate(
        _ options: TrainingOptions, settings: (any TaskSettings)?
    ) throws(TrainingError)

    /// A run that learns the task.
    static func run(_ site: RunSite) throws -> any TaskRun

    /// Whether a network answers as the task needs; throws ``TaskFlaw`` if not.
    static func check(_ model: AnswerSite) throws

    /// Decodes the numbers of a model into answers.
    static func answers(_ model: AnswerSite) throws -> any TaskAnswers

    /// Measures the answers of a model against the truth.
    static func meter(_ model: AnswerSite, classes: [String]) throws -> any AnswerMeter
}

extension TaskKind {
    /// Whether images are answered so.
    package static func answers(as wanted: any TaskAnswer.Type) -> Bool { Answer.self == wanted }

    /// The figures that stand among the keys of a file.
    package static func figures(from decoder: any Decoder) throws -> any TaskMetrics {
        try Metrics(from: decoder)
    }

    package static var settings: (any TaskSettings.Type)? { nil }
    package static func check(_ model: AnswerSite) throws {}
}

/// Settings that one task has and others do not; in `run.json` they stand under its name.
public protocol TaskSettings: Codable, Hashable, Sendable {
    /// The task.
    static var task: LearningTask { get }
    /// The settings by name, as a report and a comparison of runs show them.
    var reported: [(name: String, value: String)] { get }
}

/// Why a model cannot answer a task.
package struct TaskFlaw: Error, Equatable {
    /// The reason.
    package var reason: String
    /// A remedy.
    package var hint: String?
}

/// The parts of a model that its answers depend on.
package struct AnswerSite: Sendable {
    /// The network.
    package var graph: Graph
    /// The shape of one image.
    package var input: Shape
    /// The preparation of images.
    package var preprocessing: Preprocessing
    /// The names of the outputs.
    package var labels: [String]
    /// With many labels: the probability from which each holds.
    package var thresholds: [Float] = []
    /// Whether one probability decides between two classes.
    package var isBinary = false
    /// The number of classes or labels of an answer.
    package var top = 5
    /// The score from which an object is found or a label holds, where not the usual one.
    package var threshold: Double?

    /// These parts.
    package init(graph: Graph, input: Shape, preprocessing: Preprocessing, labels: [String]) {
        (self.graph, self.input, self.preprocessing, self.labels) = (
            graph, input, preprocessing, labels
        )
    }
}

/// Makes answers of what a network says of each image.
package protocol TaskAnswers: Sendable {
    /// The side that a decoded image must cover for its answer; nil is the whole image.
    func covering(_ preprocessing: Preprocessing) -> Int?
    /// The answer of an image of this size.
    func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer
}

/// The answer to one image; its keys stand beside `path` in `graft predict --json`.
package protocol TaskAnswer: Encodable, Sendable {}

/// Measures answers one by one; nothing of an image is kept but what its figures need.
package protocol AnswerMeter {
    /// Takes the answer of an image and what is known of it.
    mutating func add(_ answer: [Float], of item: PhotoFolder.Item) throws
    /// The figures of all; nil where nothing could be measured.
    func figures() throws -> (any TaskMetrics)?
    /// Why nothing could be measured.
    var obstacle: String { get }
}

/// Everything that a run of a task needs.
package struct RunSite {
    let input: TrainingInput
    let options: TrainingOptions
    let folder: String
    let features: any FeatureStore
    let engine: any TrainingEngine
    let crew: any Crew
    let report: @Sendable (TrainingEvent) -> Void
}

/// A run whose task is settled.
package protocol TaskRun: AnyObject {
    /// Runs to the end; see ``Trainer/run(resume:)``.
    func run(resume: Bool) throws -> TrainingResult
    /// Looks for a learning rate.
    func findRate() throws -> RateSearch
}

// How well a task was learned: a type of each task, whose keys stand among the others of metrics.json.

/// The figures of a task on images whose truth is known.
public protocol TaskMetrics: Codable, Hashable, Sendable {
    /// The number by which the best epoch is chosen: higher is better. Nil where nothing was measured.
    var measure: Double? { get }
    /// The figures that a report begins with, by name.
    var summary: [(name: String, value: Double?)] { get }
    /// The probability from which each label holds; empty where labels have none.
    var thresholds: [Float] { get }
}

extension TaskMetrics {
    /// None.
    public var thresholds: [Float] { [] }

    /// Whether these are the figures of the same task and the same.
    func equals(_ other: any TaskMetrics) -> Bool { (other as? Self) == self }
}

/// A result with the figures of one task: of a run, or of an evaluation.
///
/// Each task adds its figures by name, such as `accuracy`; those of other tasks are nil.
public protocol Measured {
    /// The figures of the task.
    var figures: any TaskMetrics { get }
}

// Which task a network's outputs answer, where only its last layer or another program's files say so.

extension LearningTask {
    /// The task of scores of which softmax makes shares.
    package static let ofShares = LearningTask.classification
    /// The task of numbers that are the answer as they are.
    package static let ofNumbers = LearningTask.regression
    /// The task of vectors of length 1.
    package static let ofUnitVectors = LearningTask.embedding

    /// The task of scores that go through a sigmoid one by one: one output decides between two classes.
    package static func bySigmoid(outputs: Int?) -> LearningTask {
        outputs == 1 ? .classification : .multiLabel
    }

    /// The task that transformers calls by a `problem_type`.
    package init?(problemType: String?) {
        switch problemType {
        case "multi_label_classification": self = .multiLabel
        case "single_label_classification": self = .classification
        case "regression": self = .regression
        default: return nil
        }
    }
}

// What is known of a task before there is any data: how its images are labelled, and its words.

/// The facts about a task that do not depend on a run.
package struct TaskTraits: Sendable {
    /// The facts about each image that the task needs.
    package var labelling: Labelling
    /// The measure of an epoch, such as `accuracy`; a name in `log.csv` and TensorBoard.
    package var measure: String
    /// The hint about a set that cannot be learned from.
    package var dataHint =
        "list the images in a table: --columns path=NAME,label=NAME, or value=NAME for numbers"
    /// Whether annotations of objects are learned from, and not only labels of whole images.
    package var needsObjects = false
    /// Whether outlines and masks count as the boxes around them.
    package var reducesToBoxes = false
    /// Whether the whole image is seen: objects at its border count too.
    package var seesWholeImage = false
    /// Whether validation images may be of classes that were never learned from.
    package var allowsUnseenClasses = false
    /// Whether the answers are the network's last value as it is, and no score of each label.
    package var answersRaw = false
    /// Whether the answer is a vector that stands for the image, and no label.
    package var isVector = false
    /// Whether the linear head has an optimum that is found at once.
    package var hasOptimum = false
    /// Whether exactly one of the classes holds of an image.
    package var isExclusive = false
    /// Whether answers are probabilities of classes or labels.
    package var hasProbabilities = false
    /// Whether each label has a probability from which it holds.
    package var hasThresholds = false
    /// Whether N processes learn what one learns; else why the number must be 1.
    package var requiresOneProcess: String?
    /// Whether the head may have a dropout before it.
    package var takesDropout = true
    /// For what images cannot be blended, in words; nil where they can.
    package var refusesBlending: String?
    /// The answers in words, for messages that refuse an option.
    package var subject: String
    /// The classes or values in words, for the title of a report.
    package var things: @Sendable (_ count: Int) -> String
    /// The function that linear scores go through, by the number of outputs.
    package var activation: @Sendable (_ outputs: Int?) -> OutputActivation = { _ in .none }
    /// The outputs of an exported model, as a sentence.
    package var outputNote = "Numbers."
    /// Why a model answers no classes, and what answers instead; nil where it does.
    package var refusesClasses: (reason: String, hint: String?)?

    init(
        _ labelling: Labelling, measure: String, subject: String,
        things: @escaping @Sendable (_ count: Int) -> String
    ) {
        (self.labelling, self.measure, self.subject, self.things) = (
            labelling, measure, subject, things
        )
    }
}

/// A function that makes probabilities of a network's last values.
public enum OutputActivation: String, Sendable, Hashable, Codable, CaseIterable {
    /// The values are the answer as they are.
    case none
    /// Shares that sum to 1.
    case softmax
    /// An independent probability per value.
    case sigmoid
}

// How a task speaks on the command line: the one place where the program names all of them.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// A task as the commands see it.
protocol TaskPresentation {
    /// The subject of a run, in words that follow `learning`.
    static func subject(of photos: PhotoFolder) -> String
    /// The line that says which task a run has; `isGuessed` where the data alone suggests it.
    static func line(for task: LearningTask, on photos: PhotoFolder, isGuessed: Bool) -> String
    /// The name of a row in the table of data.
    static func noun(_ count: Int) -> String
    /// Whether the images of each class are worth a table.
    static var hasClasses: Bool { get }
    /// The figures of a run; nil of none.
    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String?
    /// The figures of an evaluation.
    static func evaluation(_ evaluation: Evaluation) -> String

    /// The columns of `graft predict --csv` after the path.
    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String]
    /// The number of classes or labels of an answer, where `--top` names none.
    static func usualTop(isShort: Bool) -> Int
    /// Whether `--top` and `--threshold` change an answer.
    static var takesTop: Bool { get }
    static var takesThreshold: Bool { get }
    /// The formats that answers can be written in.
    static var formats: [DataSetFormat] { get }
    /// Whether answers are drawn into the image.
    static var isDrawn: Bool { get }
    /// Whether images are sorted by what they show.
    static var isSorted: Bool { get }
    /// A remark about exports, where something is not in the file.
    static var exportNote: String? { get }
}

/// An answer as people and other programs read it.
protocol ReadableAnswer: TaskAnswer {
    /// The answer as a table; nil where there is nothing to show.
    var table: String? { get }
    /// The answer in short.
    var summary: String { get }
    /// The rows of a file of comma-separated fields, after the path.
    func rows(labels: [String], top: Int) -> [[String]]
    /// The folders that the image is linked into.
    var folders: [String] { get }
    /// The boxes to draw on a page of predictions, and its section.
    var marks: [ContactSheet.Mark] { get }
    var section: String { get }
    /// Writes the answer into an image of a data set.
    func annotate(_ image: inout AnnotatedImage, in set: inout AnnotatedImages)
    /// Draws the answer.
    func draw(on image: inout Image, labels: [String])
    /// The best object, and whether none reached the threshold; nil of answers without objects.
    var objects: (isEmpty: Bool, best: FoundThing?)? { get }
}

extension LearningTask {
    /// The one place where a tag becomes what the program says of it.
    var presentation: any TaskPresentation.Type {
        switch self {
        case .classification: ClassificationPresentation.self
        case .multiLabel: MultiLabelPresentation.self
        case .regression: RegressionPresentation.self
        case .embedding: EmbeddingPresentation.self
        case .detection: DetectionPresentation.self
        case .localization: LocalizationPresentation.self
        case .segmentation: SegmentationPresentation.self
        }
    }
}

/// The options of single tasks in `graft train`, a group for each task that has some.
struct TaskOptions: ParsableArguments {
    @OptionGroup(title: "Embeddings") var embedding: EmbeddingOptions

    @OptionGroup(title: "Localisation") var localization: LocalizationOptions

    @OptionGroup(title: "Segmentation") var segmentation: SegmentationOptions

    private var groups: [any TaskOptionGroup] { [embedding, localization, segmentation] }

    /// The settings of the task, if one was asked for.
    func settings(_ asked: LearningTask?) throws -> (any TaskSettings)? {
        var found: (any TaskSettings)?
        for group in groups {
            let task = type(of: group).task
            guard asked == task || group.asksForTask != nil else {
                guard let option = group.given.first else { continue }
                throw ValidationError(
                    "\(option) is for \(task.traits.subject): add `--task \(task.rawValue)`")
            }
            if let asked, asked != task {
                throw ValidationError(
                    "\(group.asksForTask ?? "") contradicts --task \(asked.rawValue)")
            }
            found = try group.settings()
        }
        return found
    }
}

/// The options of single tasks in `graft predict`.
struct TaskOutputs: ParsableArguments {
    @OptionGroup(title: "Segmentation") var segmentation: SegmentationOutputs

    /// Takers of answers besides those that every task has.
    func sinks(_ model: Model) throws -> [any PredictionSink] {
        let groups: [any TaskOutputGroup] = [segmentation]
        return try groups.flatMap { try $0.sinks(model) }
    }
}

/// The options of one task in `graft predict`.
protocol TaskOutputGroup: ParsableArguments {
    /// The takers of answers that are asked for; refuses models of other tasks.
    func sinks(_ model: Model) throws -> [any PredictionSink]
}

/// The options of one task.
protocol TaskOptionGroup: ParsableArguments {
    static var task: LearningTask { get }
    /// The options that were given.
    var given: [String] { get }
    /// The option that asks for the task by itself, if it was given.
    var asksForTask: String? { get }
    /// The settings that the options make.
    func settings() throws -> any TaskSettings
}

extension TaskOptionGroup {
    var asksForTask: String? { nil }
}

extension TaskPresentation {
    static func line(for task: LearningTask, on photos: PhotoFolder, isGuessed: Bool) -> String {
        "task: \(task.rawValue), learning \(subject(of: photos))"
            + (isGuessed ? " (--task names another)" : "")
    }
    static func noun(_ count: Int) -> String { count == 1 ? "class" : "classes" }
    static var hasClasses: Bool { true }
    static func evaluation(_ evaluation: Evaluation) -> String {
        figures(evaluation, classes: evaluation.classes, columns: Terminal.answerWidth) ?? ""
    }
    static func usualTop(isShort: Bool) -> Int { 5 }
    static var takesTop: Bool { false }
    static var takesThreshold: Bool { false }
    static var isDrawn: Bool { false }
    static var isSorted: Bool { true }
    static var exportNote: String? { nil }
}

extension ReadableAnswer {
    var folders: [String] { [] }
    var marks: [ContactSheet.Mark] { [] }
    var section: String { "" }
    func draw(on image: inout Image, labels: [String]) {}
    var objects: (isEmpty: Bool, best: FoundThing?)? { nil }
}

// Multi-label classification on the command line: figures label by label.

import Graft
import GraftTensors
import GraftTraining

enum MultiLabelPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String { "which labels an image shows" }

    /// Labels of objects may have been meant as boxes.
    static func line(for task: LearningTask, on photos: PhotoFolder, isGuessed: Bool) -> String {
        guard isGuessed, !PhotoFolder.isTable(photos.path) else {
            return "task: \(task.rawValue), learning \(subject(of: photos))"
                + (isGuessed ? " (--task names another)" : "")
        }
        return
            "task: \(task.rawValue), learning \(subject(of: photos)); for boxes: --task detection"
    }

    static func noun(_ count: Int) -> String { count == 1 ? "label" : "labels" }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        measured.labels.map(text)
    }

    /// The figures of labels.
    private static func text(_ metrics: LabelMetrics) -> String {
        var table = Table(
            ["label", "threshold", "precision", "recall", "f1", "roc-auc", "ap", "photos"],
            numeric: [1, 2, 3, 4, 5, 6, 7])
        for label in metrics.labels {
            table.add([
                label.name, decimals(label.threshold, 3), Report.number(label.precision),
                Report.number(label.recall), Report.number(label.f1), Report.number(label.rocAUC),
                Report.number(label.averagePrecision), "\(label.support)",
            ])
        }
        return """
            \(table.text)

            mean average precision \(Report.number(metrics.meanAveragePrecision))  (macro F1 \
            \(Report.number(metrics.macroF1)), every label right in \(Report.number(metrics.subsetAccuracy)) of photos)
            """
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        ["labels"] + labels
    }

    static func usualTop(isShort: Bool) -> Int { isShort ? .max : 5 }
    static var takesTop: Bool { true }
    static var takesThreshold: Bool { true }
    static var formats: [DataSetFormat] { [.folders, .csv, .labelstudio] }
}

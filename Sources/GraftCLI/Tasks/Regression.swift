// Regression on the command line: figures value by value, and the values of an image.

import Graft
import GraftTensors
import GraftTraining

enum RegressionPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String {
        photos.classes.joined(separator: ", ")
    }

    static func noun(_ count: Int) -> String { count == 1 ? "value" : "values" }
    static var hasClasses: Bool { false }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        measured.values.map(text)
    }

    /// The figures of values.
    private static func text(_ metrics: ValueMetrics) -> String {
        var table = Table(["value", "mean error", "root mean square", "R²"], numeric: [1, 2, 3])
        for value in metrics.values {
            table.add([
                value.name, Report.number(value.meanAbsoluteError),
                Report.number(value.rootMeanSquaredError),
                Report.number(value.r2),
            ])
        }
        return table.text
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        (first as? ValueAnswer)?.values.map(\.name) ?? labels
    }

    static var formats: [DataSetFormat] { [.csv] }
    static var isSorted: Bool { false }
}

extension ValueAnswer: ReadableAnswer {
    var table: String? {
        var table = Table(["value", ""], numeric: [1])
        for value in values { table.add([value.name, decimals(value.value, 4)]) }
        return table.text
    }

    var summary: String {
        values.map { "\($0.name) \(decimals($0.value, 4))" }.joined(separator: ", ")
    }

    func rows(labels: [String], top: Int) -> [[String]] { [values.map { "\($0.value)" }] }

    func annotate(_ image: inout AnnotatedImage, in set: inout AnnotatedImages) {
        set.classes = []
        set.valueNames = values.map(\.name)
        image.values = values.map { Float($0.value) }
    }
}

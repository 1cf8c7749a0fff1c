// How predictions read on a terminal: a table for one image, a line per image for several.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// A table of the one image's answer.
struct AnswerTable: PredictionSink {
    mutating func add(_ report: ImageReport, of input: ImageInput) {
        if let table = report.answer?.table { Terminal.answer(table) }
    }
}

/// A line for each image: its path, and the answer in short.
struct AnswerLines: PredictionSink {
    /// The columns of the paths, which are known before the first answer.
    let width: Int

    init(_ inputs: [ImageInput]) {
        width = min(inputs.map(\.name.count).max() ?? 0, 60)
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) {
        guard report.error == nil else { return }
        let gap = String(repeating: " ", count: max(0, width - report.path.count))
        Terminal.answer("\(report.path)\(gap)  \(Self.summary(report))")
    }

    static func summary(_ report: ImageReport) -> String { report.answer?.summary ?? "" }
}

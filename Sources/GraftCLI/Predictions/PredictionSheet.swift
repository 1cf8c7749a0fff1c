// `--sheet`: a page of the images with what was predicted, to look through in a minute.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// Adds each image to a contact sheet; classes are sections of it.
struct PredictionSheet: PredictionSink {
    private var sheet: ContactSheet
    private let task: LearningTask
    private var failed = 0
    private var left = 0

    /// A page of more images would be slow to open.
    private static let most = 2000

    init(_ path: String, _ model: Model, reference: String) throws {
        sheet = try ContactSheet(path: path, title: "Predictions", classes: model.labels)
        sheet.facts.append(reference)
        task = model.task
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        if let error = report.error {
            failed += 1
            sheet.add(unreadable: report.path, caption: error)
            return
        }
        guard sheet.count < Self.most else {
            left += 1
            return
        }
        // Boxes are in pixels of the whole image.
        let image = try input.open(covering: task.traits.needsObjects ? nil : 480)
        let (marks, section) = (report.answer?.marks ?? [], report.answer?.section ?? "")
        try sheet.add(
            image, name: report.path, caption: AnswerLines.summary(report), section: section,
            marks: marks)
    }

    mutating func finish() throws {
        sheet.facts.append("\(grouped(sheet.count)) images")
        if failed > 0 { sheet.facts.append("\(failed) could not be read") }
        if left > 0 { sheet.facts.append("\(grouped(left)) more are not shown") }
        try sheet.write()
    }
}

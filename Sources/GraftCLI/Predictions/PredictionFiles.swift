// Predictions for programs: one JSON object, an object per line, or comma-separated rows, as they are known.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// One object of all images, written image by image.
struct AnswerObject: PredictionSink {
    private var failed: [Failure] = []
    private var count = 0

    private struct Failure: Encodable {
        let path: String
        let error: String
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        if let error = report.error {
            failed.append(Failure(path: report.path, error: error))
            return
        }
        let start = count == 0 ? "{\"photos\":[" : ","
        Terminal.answer(start + (try JSON.line(report)), terminator: "")
        count += 1
    }

    mutating func finish() throws {
        let start = count == 0 ? "{\"photos\":[" : ""
        let list = failed.isEmpty ? "" : ",\"failed\":" + (try JSON.line(failed))
        Terminal.answer("\(start)]\(list)}")
    }
}

/// An object per line and image.
struct AnswerObjects: PredictionSink {
    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        Terminal.answer(try JSON.line(report))
    }
}

/// Rows that `graft train` and spreadsheets read.
///
/// `path,label,probability` with a pair more for each class of --top; `path,labels` and a column per
/// label; `path` and a column per value; and a row per object with the edges of its box.
struct AnswerRows: PredictionSink {
    private let task: LearningTask
    private let labels: [String]
    private let top: Int
    private var hasHeader = false

    init(_ model: Model, top: Int) {
        (task, labels, self.top) = (model.task, model.labels, top)
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) {
        writeHeader(report)
        guard report.error == nil else { return }
        for row in report.answer?.rows(labels: labels, top: top) ?? [] {
            Terminal.answer(CSVLine.text([report.path] + row))
        }
    }

    mutating func finish() { writeHeader(nil) }

    private mutating func writeHeader(_ report: ImageReport?) {
        guard !hasHeader else { return }
        hasHeader = true
        let columns = task.presentation.columns(
            labels: labels, top: top, first: report?.answer)
        Terminal.answer(CSVLine.text(["path"] + columns))
    }
}

/// Fields of a row with commas between them, quoted where they need it (RFC 4180).
enum CSVLine {
    static func text(_ fields: [String]) -> String {
        fields.map { field in
            guard field.utf8.contains(where: { [0x22, 0x2C, 0x0A, 0x0D].contains($0) }) else {
                return field
            }
            let inner = field.split(separator: "\"", omittingEmptySubsequences: false)
                .joined(separator: "\"\"")
            return "\"\(inner)\""
        }.joined(separator: ",")
    }
}

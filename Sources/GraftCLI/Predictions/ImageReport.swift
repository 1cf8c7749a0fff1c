// What a model answered of one image, as `--json` and `--jsonl` print it.

import Graft
import GraftTensors
import GraftTraining

/// The answer of one image, or why there is none.
struct ImageReport: Encodable {
    let path: String
    /// The answer; its keys stand beside the path.
    var answer: (any ReadableAnswer)?
    var drawing: String?
    var error: String?
    /// The size of the image in pixels; not printed.
    var size: (width: Int, height: Int) = (0, 0)

    private enum CodingKeys: String, CodingKey {
        case path, drawing, error
    }

    init(_ path: String, _ answer: any TaskAnswer, width: Int, height: Int) {
        self.path = path
        size = (width, height)
        self.answer = answer as? any ReadableAnswer
    }

    init(_ path: String, error: any Error) {
        self.path = path
        self.error = (error as? any Diagnostic)?.message ?? "\(error)"
    }

    func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(path, forKey: .path)
        try keys.encodeIfPresent(drawing, forKey: .drawing)
        try keys.encodeIfPresent(error, forKey: .error)
        try answer?.encode(to: encoder)
    }
}

/// What takes the answers, image by image.
protocol PredictionSink {
    /// Takes an answer.
    mutating func add(_ report: ImageReport, of input: ImageInput) throws
    /// Writes what can only be written in the end.
    mutating func finish() throws
}

extension PredictionSink {
    mutating func finish() throws {}
}

// What a model answered of one image, as `--json` and `--jsonl` print it.

import Graft
import GraftTensors

/// The answer of one image, or why there is none.
struct ImageReport: Encodable {
    let path: String
    var predictions: [Prediction]?
    var values: [PredictedValue]?
    var things: [FoundThing]?
    var drawing: String?
    var error: String?
    /// The best object below the threshold or above; not printed.
    var best: FoundThing?
    /// The size of the image in pixels; not printed.
    var size: (width: Int, height: Int) = (0, 0)

    private enum CodingKeys: String, CodingKey {
        case path, predictions, values, things, drawing, error
    }

    init(_ path: String, _ answer: ImageAnswer, width: Int, height: Int) {
        self.path = path
        size = (width, height)
        switch answer {
        case .classes(let predictions): self.predictions = predictions
        case .values(let values): self.values = values
        case .objects(let things, let best): (self.things, self.best) = (things, best)
        }
    }

    init(_ path: String, error: any Error) {
        self.path = path
        self.error = (error as? any Diagnostic)?.message ?? "\(error)"
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

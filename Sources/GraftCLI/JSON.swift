// One JSON object a command, keys sorted, so that programs can rely on it.

import FoundationEssentials
import GraftTensors

/// The JSON that `--json` prints.
enum JSON {
    static func line(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch EncodingError.invalidValue(let found, let context) {
            throw NoNumber(
                found: "\(found)",
                place: context.codingPath.map(\.stringValue).joined(separator: "."))
        }
    }

    /// A number of an answer that JSON cannot say.
    struct NoNumber: Diagnostic {
        let found: String
        let place: String

        var message: String { "`\(place)` of the answer is \(found), which JSON cannot say" }
        var hint: String? { "the model's weights or its inputs are damaged" }
    }
}

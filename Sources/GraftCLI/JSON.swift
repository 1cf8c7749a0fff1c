// One JSON object a command, keys sorted, so that programs can rely on it.

import FoundationEssentials

/// The JSON that `--json` prints.
enum JSON {
    static func line(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

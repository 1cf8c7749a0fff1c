// What a mirror sends back: a status, fields, and a text or a part of a file.

import FoundationEssentials

/// An answer, without a socket.
struct MirrorAnswer: Sendable {
    /// What follows the fields.
    enum Body: Sendable {
        case bytes([UInt8])
        case file(OpenFile, Range<Int>)
    }

    var status = 200
    var fields: [String: String] = [:]
    var body = Body.bytes([])

    /// How many bytes the body has.
    var byteCount: Int {
        switch body {
        case .bytes(let bytes): bytes.count
        case .file(_, let range): range.count
        }
    }

    /// A value as JSON.
    static func json(_ value: some Encodable, fields: [String: String] = [:]) -> MirrorAnswer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else {
            return refusal(500, "the answer cannot be written as JSON")
        }
        var answer = MirrorAnswer()
        answer.fields = fields
        answer.fields["Content-Type"] = "application/json; charset=utf-8"
        answer.body = .bytes(Array(data))
        return answer
    }

    /// A refusal as the Hub words it: `code` is what clients decide by.
    static func refusal(
        _ status: Int, _ message: String, code: String? = nil, commit: String? = nil
    ) -> MirrorAnswer {
        var answer = json(["error": message])
        answer.status = status
        answer.fields["X-Error-Message"] = String(message.map { $0.isASCII ? $0 : "?" })
        answer.fields["X-Error-Code"] = code
        answer.fields["X-Repo-Commit"] = commit
        return answer
    }
}

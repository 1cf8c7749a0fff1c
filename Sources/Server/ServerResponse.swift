// What is answered: a status, fields, and bytes in memory, of a file, or as they are made.

import FoundationEssentials

/// Takes the bytes of an answer that is made while it is sent.
public struct ResponseWriter: Sendable {
    private let send: @Sendable ([UInt8]) async throws -> Void

    /// A writer that hands pieces to `send`.
    public init(_ send: @escaping @Sendable ([UInt8]) async throws -> Void) { self.send = send }

    /// Sends bytes; returns when the client has taken nearly all that was sent before.
    public func write(_ bytes: [UInt8]) async throws { try await send(bytes) }
}

/// An answer. The server adds `Content-Length` or `Transfer-Encoding`, `Date` and `Connection`.
public struct ServerResponse: Sendable {
    /// The bytes that follow the fields.
    public enum Body: Sendable {
        /// Bytes in memory.
        case bytes([UInt8])
        /// A part of a file.
        case file(ServedFile, Range<Int>)
        /// Bytes that are made while they are sent; the length where it is known.
        case stream(byteCount: Int?, @Sendable (ResponseWriter) async throws -> Void)
    }

    /// The status.
    public var status: Int
    /// The fields; those with characters that a field cannot have are left out.
    public var fields: [String: String]
    /// The body; not sent in answer to `HEAD`.
    public var body: Body

    /// An answer.
    public init(status: Int = 200, fields: [String: String] = [:], body: Body = .bytes([])) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// A line of plain text.
    public static func text(status: Int, _ text: String) -> ServerResponse {
        ServerResponse(
            status: status, fields: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(Array((text + "\n").utf8)))
    }

    /// A value as JSON, keys sorted.
    public static func json(
        _ value: some Encodable, status: Int = 200, fields: [String: String] = [:]
    ) -> ServerResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else {
            return text(status: 500, "the answer cannot be written as JSON")
        }
        var response = ServerResponse(status: status, fields: fields, body: .bytes(Array(data)))
        response.fields["Content-Type"] = "application/json; charset=utf-8"
        return response
    }

    /// A file, or the part of it that the request's `Range` asks for.
    ///
    /// `fields` may hold an `ETag`, which `If-Range` is compared with.
    public static func file(
        _ file: ServedFile, for request: ServerRequest, fields: [String: String] = [:]
    ) -> ServerResponse {
        ranged(byteCount: file.byteCount, for: request, fields: fields) { .file(file, $0) }
    }

    /// Bytes of a known number, or the part of them that the request's `Range` asks for; `body` makes it.
    public static func ranged(
        byteCount: Int, for request: ServerRequest, fields: [String: String] = [:],
        body: (Range<Int>) -> Body
    ) -> ServerResponse {
        var response = ServerResponse(fields: fields)
        response.fields["Accept-Ranges"] = "bytes"
        let mayBePart = request.fields["if-range"].map { $0 == fields["ETag"] } ?? true
        let text = mayBePart ? request.fields["range"] : nil
        switch text.map({ ByteRange($0, of: byteCount) }) ?? .whole {
        case .whole: response.body = body(0..<byteCount)
        case .unsatisfiable:
            response.status = 416
            response.fields["Content-Range"] = "bytes */\(byteCount)"
        case .part(let range):
            response.status = 206
            response.fields["Content-Range"] =
                "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(byteCount)"
            response.body = body(range)
        }
        return response
    }

    /// The number of bytes of the body, where it is known.
    public var byteCount: Int? {
        switch body {
        case .bytes(let bytes): bytes.count
        case .file(_, let range): range.count
        case .stream(let count, _): count
        }
    }
}

/// The part of a file that a `Range` asks for.
public enum ByteRange: Equatable, Sendable {
    /// All bytes.
    case whole
    /// Some bytes.
    case part(Range<Int>)
    /// Bytes that the file does not have.
    case unsatisfiable

    /// Reads `bytes=5-9`, `bytes=5-` or `bytes=-5`; several ranges and other units mean the whole.
    public init(_ text: String, of size: Int) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        self = .whole
        guard parts.count == 2, parts[0].lowercased() == "bytes", text.utf8.count < 100 else {
            return
        }
        let ends = parts[1].filter { $0 != " " }
            .split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return }
        switch (Int(ends[0]), Int(ends[1])) {
        case (nil, let count?) where ends[0].isEmpty:
            self = count > 0 && size > 0 ? .part(max(0, size - count)..<size) : .unsatisfiable
        case (let first?, nil) where ends[1].isEmpty:
            self = first < size ? .part(first..<size) : .unsatisfiable
        case (let first?, let last?) where first <= last:
            self = first < size ? .part(first..<min(last, size - 1) + 1) : .unsatisfiable
        default: break
        }
    }
}

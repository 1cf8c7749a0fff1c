// What is answered.

/// Bytes that are read piece by piece while they are sent.
public protocol ResponseSource: Sendable {
    /// At most `count` bytes from `offset` on; none where they end too early, which ends the connection, so
    /// that the client sees that bytes are missing. May wait.
    func read(at offset: Int, count: Int) -> [UInt8]
}

/// An answer. The server adds `Content-Length`, `Date` and `Connection`.
public struct ServerResponse: Sendable {
    /// What follows the fields.
    public enum Body: Sendable {
        /// Bytes in memory.
        case bytes([UInt8])
        /// The bytes of a source in this range.
        case source(any ResponseSource, Range<Int>)
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

    /// A plain text, a line.
    public static func text(status: Int, _ text: String) -> ServerResponse {
        ServerResponse(
            status: status, fields: ["Content-Type": "text/plain; charset=utf-8"],
            body: .bytes(Array((text + "\n").utf8)))
    }

    /// The number of bytes of the body.
    public var byteCount: Int {
        switch body {
        case .bytes(let bytes): bytes.count
        case .source(_, let range): range.count
        }
    }
}

// What a client asks for.

/// A request, read whole.
public struct ServerRequest: Sendable {
    /// `GET`, `HEAD`, `POST`…
    public let method: String
    /// The address as it was sent: a path and maybe a query.
    public let target: String
    /// The fields by names in lower case; values of a name that comes again follow after a comma.
    public let fields: [String: String]
    /// The body.
    public let body: [UInt8]
    /// The address of the client.
    public let client: String

    /// A request.
    public init(
        method: String, target: String, fields: [String: String], body: [UInt8] = [],
        client: String = ""
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.client = client
    }
}

/// One line of the access log.
public struct AccessRecord: Sendable, Codable, Hashable {
    /// When the answer ended, RFC 3339.
    public var time: String
    /// The address of the client.
    public var client: String
    /// `GET`, `HEAD`, `POST`…; empty if the head could not be read.
    public var method: String
    /// The path, without the query: that may hold secrets.
    public var path: String
    /// The status of the answer.
    public var status: Int
    /// The bytes of the body that were sent.
    public var bytes: Int
    /// How long it took, from the end of the request.
    public var milliseconds: Int
    /// Why the answer did not end as it should have; nil if it did.
    public var problem: String?
}

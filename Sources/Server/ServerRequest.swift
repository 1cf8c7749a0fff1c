// What a client asks for, as a handler sees it.

/// A request whose head has been read and whose body may still be on its way.
public struct ServerRequest: Sendable {
    /// `GET`, `HEAD`, `POST`…
    public let method: String
    /// The address as it was sent: a path and maybe a query.
    public let target: String
    /// The fields by names in lower case; values of a name that comes again follow after a comma.
    public let fields: [String: String]
    /// The body.
    public let body: RequestBody
    /// The IP address of the client.
    public let client: String
    /// The holder of the token that the request shows; nil without one.
    public let holder: TokenHolder?

    /// A request.
    public init(
        method: String, target: String, fields: [String: String] = [:],
        body: RequestBody = RequestBody([]), client: String = "", holder: TokenHolder? = nil
    ) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.client = client
        self.holder = holder
    }
}

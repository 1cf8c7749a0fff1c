// `graft serve`: the cache behind a server.

import GraftCache
import GraftServer

/// The Hub cache of this machine, served to others as a Hub.
///
/// ```swift
/// try await Mirror().run { print("HF_ENDPOINT=\($0)") }
/// ```
public struct Mirror: Sendable {
    /// How a mirror serves.
    public struct Options: Sendable {
        /// The IP address to listen on, or `localhost`.
        public var host = "127.0.0.1"
        /// The port; 0 takes any that is free.
        public var port = 8010
        /// The file of the tokens that requests must show; nil where everybody is answered.
        public var tokenFile: String?
        /// Whether requests without a token may read, where there is a file of tokens.
        public var admitsAnonymous = false
        /// The lines of the access log go here; nil where there is none.
        public var log: (@Sendable (String) -> Void)?
        /// Whether the lines of the access log are JSON objects, and not text.
        public var logsJSON = true

        /// The defaults.
        public init() {}
    }

    private let options: Options
    private let shelf: Shelf
    private let tokens: AccessTokens

    /// A mirror of the Hub cache at `root`, `$HF_HUB_CACHE` by default.
    /// - Throws: ``TokenFileError`` if the file of tokens cannot be read as one.
    public init(root: String? = nil, options: Options = Options()) throws {
        self.options = options
        tokens = try AccessTokens(
            file: options.tokenFile, admitsAnonymous: options.admitsAnonymous)
        shelf = Shelf(root: root)
    }

    /// The folder that is served.
    public var root: String { shelf.hub.root }

    /// Serves until the task is cancelled; `ready` is called with the address as soon as it answers.
    /// - Throws: `ServerError` if it cannot listen there.
    public func run(ready: @Sendable (String) -> Void = { _ in }) async throws {
        let answering = Answering(shelf: shelf)
        let log = options.log.map { AccessLog(options.logsJSON ? .json : .text, write: $0) }
        let server = HTTPServer(
            host: options.host, port: options.port, tokens: tokens, log: log
        ) { request in
            try await answering.answer(request)
        }
        try await server.run(ready: ready)
    }
}

extension Answering {
    /// Answers what the server read.
    func answer(_ request: ServerRequest) async throws -> ServerResponse {
        guard let asked = MirrorRequest(request) else {
            return .refusal(400, "the address cannot be read")
        }
        do {
            return try await answer(asked)
        } catch  where ServedFile.isExhausted(error) {
            var busy = ServerResponse.refusal(503, "too many files are open")
            busy.fields["Retry-After"] = "1"
            return busy
        }
    }
}

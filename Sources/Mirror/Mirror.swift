// `graft serve`: the cache behind a server.

import GraftCache
import GraftHub
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
        /// Whether clients with a token of the role `write` may upload.
        public var isWritable = false
        /// The address of the hub that is asked for what is not here; nil for none.
        public var upstream: String?
        /// The file of the token that the hub behind is shown.
        public var upstreamTokenFile: String?
        /// Hosts that may be asked over plain http, besides this machine.
        public var plainHTTPHosts: [String] = []
        /// The bytes that what came from upstream may take; nil for as many as come.
        public var maximumByteCount: Int?
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
    private let answering: Answering

    /// A mirror of the Hub cache at `root`, `$HF_HUB_CACHE` by default.
    /// - Throws: ``TokenFileError`` if the file of tokens cannot be read as one.
    public init(root: String? = nil, options: Options = Options()) throws {
        self.options = options
        tokens = try AccessTokens(file: options.tokenFile)
        shelf = Shelf(root: root)
        answering = Answering(shelf: shelf, cache: Cache(), options: options)
    }

    /// The folder that is served.
    public var root: String { shelf.hub.root }

    /// Serves until the task is cancelled; `ready` is called with the address as soon as it answers.
    /// - Throws: `ServerError` if it cannot listen there.
    public func run(ready: @Sendable (String) -> Void = { _ in }) async throws {
        let log = options.log.map { AccessLog(options.logsJSON ? .json : .text, write: $0) }
        let server = HTTPServer(
            host: options.host, port: options.port, tokens: tokens, log: log,
            bodyLimit: answering.bodyLimit
        ) { request in
            try await answering.answer(request)
        }
        try await server.run(ready: ready)
    }
}

extension Answering {
    /// The answers of a mirror with these options.
    init(shelf: Shelf, cache: Cache, options: Mirror.Options) {
        let commits = CommitWriter(shelf: shelf, cache: cache)
        if options.isWritable {
            writing = Writing(commits: commits, files: LargeFiles(hub: shelf.hub, cache: cache))
        } else {
            writing = nil
        }
        let eviction = options.maximumByteCount.map {
            Eviction(
                limit: $0, cache: cache, scanner: shelf.scanner, isHosted: commits.isHosted)
        }
        upstream = options.upstream.map { address in
            var fetch = FetchOptions()
            fetch.tokenFile = options.upstreamTokenFile
            fetch.plainHTTPHosts = options.plainHTTPHosts
            return Upstream(
                address, shelf: shelf, cache: cache, options: fetch, eviction: eviction)
        }
        self.shelf = shelf
        usage = cache
        self.commits = commits
        needsToken = options.tokenFile != nil && !options.admitsAnonymous
    }

    /// Answers what the server read.
    func answer(_ request: ServerRequest) async throws -> ServerResponse {
        guard let asked = MirrorRequest(request) else {
            return .refusal(400, saying: "the address cannot be read")
        }
        do {
            // The addresses of the store of large files are signed: no token is sent there.
            if let answer = try await answerStore(asked) { return answer }
            guard !needsToken || request.holder != nil else {
                var answer = ServerResponse.refusal(401, saying: "expected a token")
                answer.fields["WWW-Authenticate"] = "Bearer"
                return answer
            }
            return try await answer(asked)
        } catch let refused as Refused {
            return refused.response
        } catch  where ServedFile.isExhausted(error) {
            var busy = ServerResponse.refusal(503, saying: "too many files are open")
            busy.fields["Retry-After"] = "1"
            return busy
        }
    }
}

// `graft serve`: the cache as a Hub that others download from.

import ArgumentParser
import Dispatch
import Glibc
import GraftCache
import GraftMirror
import GraftTensors
import Synchronization

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve the Hub cache as a Hub that other programs download from.",
        discussion: """
            Example: graft serve --host 0.0.0.0 --upstream https://huggingface.co --max-size 500GB
            Example: graft serve --host 0.0.0.0 --writable --token-file tokens --access-log serve.log
            Then, on another machine: HF_ENDPOINT=http://HOST:8010 hf download org/name
            Prints the address once it answers. SIGTERM and ctrl-C let running answers end; `GET /health` \
            says how it is.
            """)

    @Option(help: "Port; 0 takes any that is free.") var port: UInt16 = 8010
    @Option(help: "Address to listen on; 0.0.0.0 admits other machines.")
    var host = "127.0.0.1"
    @Option(help: "Hub cache; $HF_HUB_CACHE or Python's usual place by default.")
    var cacheDir: String?
    @Option(
        help: "File of tokens, a line each: TOKEN NAME [read|write]. Requests must show one.",
        completion: .file())
    var tokenFile: String?
    @Flag(help: "Let requests without a token read, with --token-file.")
    var anonymousRead = false
    @Option(
        help: "Hub to ask for what is not in the cache: https://huggingface.co, or another one.")
    var upstream: String?
    @Option(help: "Size that what came from upstream may take, such as 500GB.")
    var maxSize: String?
    @Option(help: "File of the token for upstream; HF_TOKEN is not used.", completion: .file())
    var upstreamTokenFile: String?
    @Option(help: "Host that may be asked over plain http (repeatable; also GRAFT_ALLOW_HTTP).")
    var allowHTTP: [String] = []
    @Flag(help: "Take uploads of clients whose token has the role write.")
    var writable = false
    @Option(help: "File to append a line per request to; - is stderr.", completion: .file())
    var accessLog: String?
    @Option(help: "Form of the access log: json or text.")
    var logFormat = "json"
    @Flag(help: "Print one JSON object: `url` and `cache`.") var json = false

    func validate() throws {
        if let contradiction { throw ValidationError(contradiction) }
    }

    /// Options that do not go together.
    private var contradiction: String? {
        if logFormat != "json", logFormat != "text" {
            return "--log-format is json or text, found `\(logFormat)`"
        }
        if anonymousRead, tokenFile == nil { return "--anonymous-read needs --token-file" }
        if writable, tokenFile == nil { return "--writable needs --token-file" }
        if maxSize != nil, upstream == nil { return "--max-size needs --upstream" }
        return nil
    }

    func run() async throws {
        let work = Task { try await serve() }
        let interrupted = Atomic(false)
        let signals = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                // Who asks twice does not want to wait for answers.
                if work.isCancelled { _exit(number == SIGINT ? 130 : 1) }
                if number == SIGINT { interrupted.store(true, ordering: .relaxed) }
                work.cancel()
            }
            source.resume()
            return source
        }
        defer { for source in signals { source.cancel() } }
        try await work.value
        if interrupted.load(ordering: .relaxed) { throw ExitCode(130) }
    }

    private func serve() async throws {
        var options = Mirror.Options()
        options.host = host
        options.port = Int(port)
        options.tokenFile = tokenFile
        options.admitsAnonymous = anonymousRead
        options.isWritable = writable
        options.upstream = upstream
        options.upstreamTokenFile = upstreamTokenFile
        options.plainHTTPHosts = allowHTTP
        options.maximumByteCount = try maxSize.map { try Quantity.bytes($0) }
        // The token of this machine's user is not lent to everybody who asks.
        if upstream != nil { setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1) }
        options.logsJSON = logFormat == "json"
        options.log = try accessLog.map { try LogFile.opened($0) }
        let mirror = try Mirror(root: cacheDir, options: options)
        let (json, root) = (json, mirror.root)
        try await mirror.run { address in
            let line = json ? try? JSON.line(["url": address, "cache": root]) : nil
            Terminal.answer(line ?? address)
            Terminal.say("serving \(root); for example: HF_ENDPOINT=\(address) hf download …")
        }
    }
}

/// A file that lines are appended to.
enum LogFile {
    private static let opening = "open"

    /// Opens a file for appending, or stderr for `-`; the result writes a line.
    static func opened(_ path: String) throws -> @Sendable (String) -> Void {
        if path == "-" { return { Terminal.say($0) } }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw FileError(opening, path) }
        let isBroken = Atomic(false)
        return { line in
            // One write per line: whoever rotates or reads the file sees whole lines.
            let bytes = Array((line + "\n").utf8)
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count != bytes.count else { return }
            let code = errno
            if !isBroken.exchange(true, ordering: .relaxed) {
                Terminal.report(FileError("write to", path, code: code))
            }
        }
    }
}

// `graft serve`: the cache as a Hub that others download from.

import ArgumentParser
import GraftMirror
import GraftTensors

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve the Hub cache as a Hub that other programs download from.",
        discussion: """
            Read-only. What is not in the cache is not there. Prints the address once it answers, and \
            serves until it is ended.

            Examples:
              graft serve
              HF_ENDPOINT=http://127.0.0.1:8010 hf download org/name
              graft serve --host 0.0.0.0 --port 80
            """)

    @Option(help: "The port; 0 takes any that is free.") var port: UInt16 = 8010
    @Option(help: "The address to listen on; 0.0.0.0 lets other machines in.") var host =
        "127.0.0.1"
    @Option(help: "The Hub cache; $HF_HUB_CACHE or Python's usual place by default.")
    var cacheDir: String?
    @Flag(help: "Print one JSON object: `url` and `cache`.") var json = false

    func run() async throws {
        let mirror = Mirror(root: cacheDir, host: host, port: port)
        let (json, root) = (json, mirror.root)
        try await mirror.run { address in
            let line = json ? try? JSON.line(["url": address, "cache": root]) : nil
            Terminal.answer(line ?? address)
            Terminal.say("serving \(root); for example: HF_ENDPOINT=\(address) hf download …")
        }
    }
}

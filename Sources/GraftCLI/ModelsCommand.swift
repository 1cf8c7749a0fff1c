// `graft models`: what the registry knows where to fetch.

import ArgumentParser
import GraftRegistry
import GraftTensors

struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the published models that graft can fetch by name.",
        discussion: """
            The depth counts layers that have weights, as Keras' table does.
            A size with `~` is reckoned from the parameters: the publisher states none.

            Examples:
              graft models
              graft models mobilenet:0.25
              graft models torchvision --json
            """)

    @Argument(help: "Words that the name must contain.")
    var query: [String] = []

    @Flag(help: "One JSON object: `models`, each with its address, digest and preprocessing.")
    var json = false

    func run() throws {
        let found = try Registry.load().search(query.joined(separator: " "))
        if json {
            Terminal.answer(try JSON.line(Answer(models: found)))
            return
        }
        guard !found.isEmpty else {
            throw RegistryError.unknown(query.joined(separator: " "), suggestions: [])
        }
        var table = Table(
            ["name", "parameters", "depth", "size", "top-1", "top-5", "licence"],
            numeric: [1, 2, 3, 4, 5])
        for entry in found {
            table.add([
                entry.name, entry.parameters.map(grouped) ?? "–",
                entry.depth.map { "\($0)" } ?? "–",
                entry.byteCount.map(readableBytes)
                    ?? entry.parameters.map { "~" + readableBytes($0 * 4) } ?? "–",
                entry.top1.map { decimals($0 * 100, 1) + " %" } ?? "–",
                entry.top5.map { decimals($0 * 100, 1) + " %" } ?? "–", entry.licence ?? "–",
            ])
        }
        Terminal.answer(table.text)
    }

    private struct Answer: Encodable {
        let models: [RegistryEntry]
    }
}

// `graft models`: what the registry knows where to fetch.

import ArgumentParser
import GraftCache
import GraftHub
import GraftRegistry
import GraftTensors

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the published models that graft can fetch by name.",
        discussion: """
            The depth counts layers that have weights, as Keras' table does.
            A size with `~` is reckoned from the parameters: the publisher states none.
            A terminal of less than 120 columns shows shorter figures, one of less than 100 no licences.
            Models without a depth can be fetched but not run: graft lacks their network.

            Examples:
              graft models mobilenet:0.25
              graft models resnet --max-size 100MB --min-top1 0.75 --license apache-2.0 --json
              graft models tfhub efficientnet
            """)

    @Argument(help: "Words that the name must contain.")
    var query: [String] = []

    @Option(help: "Files of at most this size, such as 100MB.") var maxSize: String?
    @Option(help: "At most so many parameters.") var maxParameters: Int?
    @Option(help: "At least this accuracy on ImageNet, 0 to 1 or in percent.") var minTop1: Double?
    @Option(
        name: [.long, .customLong("licence")], parsing: .singleValue,
        help: "An SPDX identifier of the licence; may be repeated.")
    var license: [String] = []
    @Flag(help: "Search the Hugging Face Hub; one request per 100 models.") var hub = false
    @Option(help: "With --hub: task, such as image-classification.") var task: String?
    @Option(help: "With --hub: library, such as timm or keras.") var library: String?
    @Option(help: "With --hub: downloads, likes, lastModified or trendingScore.")
    var sort = "downloads"
    @Option(help: "With --hub: maximum number of models.") var limit = 50
    @Flag(help: "Only models whose network graft has.") var runnable = false

    @Flag(help: "One JSON object: `models`, each with its address, digest and preprocessing.")
    var json = false

    func validate() throws {
        guard hub || task == nil && library == nil else {
            throw ValidationError("--task and --library search the Hub: add --hub")
        }
        guard ["downloads", "likes", "lastModified", "trendingScore"].contains(sort) else {
            throw ValidationError("--sort is downloads, likes, lastModified or trendingScore")
        }
        guard !hub || license.count < 2, (1...1000).contains(limit) else {
            throw ValidationError("--hub takes one --license, and a --limit of 1 to 1000")
        }
    }

    func run() async throws {
        if hub {
            var query = HubQuery()
            query.text = self.query.joined(separator: " ")
            query.task = task
            query.library = library
            query.license = license.first
            query.maxByteCount = try maxSize.map { try Quantity.bytes($0) }
            query.sort = sort
            query.limit = limit
            return try await HubModels.show(query, json: json)
        }
        var criteria = Registry.Criteria()
        criteria.query = query.joined(separator: " ")
        criteria.maxByteCount = try maxSize.map { try Quantity.bytes($0) }
        criteria.maxParameters = maxParameters
        criteria.minTop1 = minTop1.map { $0 > 1 ? $0 / 100 : $0 }
        criteria.licences = license
        criteria.runnable = runnable
        let found = try Registry.load().search(criteria)
        if json {
            Terminal.answer(try JSON.line(Answer(models: found)))
            return
        }
        guard !found.isEmpty else {
            throw RegistryError.noneSuch(query.joined(separator: " "))
        }
        let columns = Terminal.answerWidth
        let (isNarrow, hasLicence) = ((columns ?? .max) < 120, (columns ?? .max) >= 100)
        var table = Table(
            ["name", isNarrow ? "params" : "parameters", "depth", "size", "top-1", "top-5"]
                + (hasLicence ? ["licence"] : []), numeric: [1, 2, 3, 4, 5])
        for entry in found {
            let size = entry.estimatedByteCount.map {
                (entry.byteCount == nil ? "~" : "") + (isNarrow ? megabytes($0) : readableBytes($0))
            }
            let cells: [String?] = [
                entry.name,
                entry.parameters.map {
                    isNarrow ? decimals(Double($0) / 1e6, 1) + " M" : grouped($0)
                },
                entry.depth.map(String.init), size, entry.top1.map(percent),
                entry.top5.map(percent),
            ]
            // Some publishers give an address.
            let licence = entry.licence.map { columns == nil ? $0 : shortened($0, to: 16) }
            table.add((cells + (hasLicence ? [licence] : [])).map { $0 ?? "–" })
        }
        Terminal.answer(table.text(fitting: columns))
    }

    private func megabytes(_ count: Int) -> String {
        decimals(Double(count) / 1e6, count < 10_000_000 ? 1 : 0) + " MB"
    }

    private func percent(_ share: Double) -> String { decimals(share * 100, 1) + " %" }

    private struct Answer: Encodable {
        let models: [RegistryEntry]
    }
}

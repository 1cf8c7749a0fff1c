// `graft features`: the embeddings of photos, on one machine or in parts on many.

import ArgumentParser
import Crypto
import FoundationEssentials
import Graft
import GraftFormats
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining

struct FeaturesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features",
        abstract: "Compute the embeddings of photos with a backbone.",
        discussion: """
            Example: graft features timm/tf_efficientnet_lite0 photos -o features.npy

            On many machines: `graft features MODEL PHOTOS --shard I/N -o part-I.safetensors` on \
            each, then `graft features merge part-*.safetensors -o features.npy`.
            """,
        subcommands: [Compute.self, Merge.self], defaultSubcommand: Compute.self)

    /// A part of N.
    struct Shard: ExpressibleByArgument {
        var index: Int
        var count: Int

        init?(argument: String) {
            let numbers = argument.split(separator: "/").map { Int($0) }
            guard numbers.count == 2, let index = numbers[0], let count = numbers[1], count > 0,
                (0..<count).contains(index)
            else { return nil }
            (self.index, self.count) = (index, count)
        }
    }

    struct Compute: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compute",
            abstract: "Compute the embeddings of photos; what is meant without a subcommand.")

        @Argument(help: "A native model, a registry name or a weight file.") var model: String
        @Argument(help: "Photos (JPEG, PNG or WebP), and folders of photos.") var photos: [String]
        @Option(
            name: .shortAndLong,
            help: "Where to write (photos, features): .npy, or .safetensors with the photos' names."
        )
        var output: String
        @Option(
            help:
                "Take the value of this layer; by default the vectors that the model learned, or the pooled features."
        ) var layer: String?
        @Option(help: "Compute part I of N only, counted from 0: every Nth photo.") var shard:
            Shard?
        @Option(help: "The architecture of a weight file.") var architecture: String?
        @OptionGroup var execution: ExecutionSettings

        func validate() throws {
            if shard != nil, !output.hasSuffix(".safetensors") {
                throw ValidationError("a part of all photos is written as .safetensors")
            }
        }

        func run() async throws {
            let all = try photos.flatMap {
                try PhotoFolder.isFolder($0) ? PhotoFolder.list($0) : [$0]
            }
            let (index, count) = (shard?.index ?? 0, shard?.count ?? 1)
            let mine = all.indices.filter { $0 % count == index }.map { all[$0] }
            var model = try await Models.open(self.model, architecture: architecture)
            model.execution = execution.options()
            let node = try layer.map { try model.graph.node(named: $0) } ?? model.embedding
            let runner = try Runner(model, batch: min(8, max(mine.count, 1)), output: node)
            let preprocessing = model.preprocessing
            let reading = Prefetch(count: mine.count) { at in
                Result { try preprocessing.open(mine[at]) }
            }
            var rows: [[Float]] = []
            var images: [Image] = []
            for at in mine.indices {
                if let image = try reading.next()?.get() { images.append(image) }
                guard images.count == 32 || at == mine.count - 1 else { continue }
                rows += try runner.run(images)
                images.removeAll()
                Terminal.redraw(
                    Terminal.bar(
                        "features", done: rows.count, of: mine.count,
                        detail: "\(rows.count) of \(mine.count)"))
            }
            Terminal.redraw("")
            let width =
                try rows.first?.count ?? model.graph.shapes(input: model.input())[node].count
            let table = FeatureTable(
                names: mine, rows: rows, width: width, source: model.source.sha256,
                layer: model.graph.nodes[node].name, index: index, count: count, total: all.count,
                list: FeatureTable.digest(all))
            try table.write(to: output)
        }
    }

    struct Merge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "merge",
            abstract: "Put the parts that `--shard` made together, in the order of the photos.",
            discussion: "Example: graft features merge part-*.safetensors -o features.npy")

        @Argument(help: "The parts, in any order.") var parts: [String]
        @Option(name: .shortAndLong, help: "Where to write: .npy or .safetensors.")
        var output: String

        func run() throws {
            try FeatureTable(merging: try parts.map { (path: $0, table: try FeatureTable($0)) })
                .write(to: output)
        }
    }
}

// `graft features`: the feature vectors of images, on one machine or in parts on many.

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
        abstract: "Compute the feature vectors (embeddings) of images.",
        discussion: """
            Example: graft features timm/tf_efficientnet_lite0 images -o features.npy

            On many machines: `graft features MODEL IMAGES --shard I/N -o part-I.safetensors` on \
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
            abstract: "Compute the feature vectors of images (the default subcommand).")

        @Argument(help: "A native model, a registry name or a weight file.") var model: String
        @OptionGroup var images: InputSettings
        @Option(
            name: .shortAndLong,
            help: ArgumentHelp(
                "File to write the vectors to, one row per image: .npy, .safetensors or .csv.",
                discussion: """
                    Beside NAME.npy the images are the lines of NAME.names.txt; .safetensors has them in \
                    its metadata under graft.features, and .csv in the column path.
                    """))
        var output: String
        @Option(
            help:
                "Layer whose value is taken (default: the embedding of a model that learned one, else the pooled features)."
        ) var layer: String?
        @Option(help: "Compute part I of N only, counted from 0: every Nth image.") var shard:
            Shard?
        @Option(help: "The architecture of a weight file.") var architecture: String?
        @OptionGroup(title: "Model") var settings: ModelSettings
        @OptionGroup var execution: ExecutionSettings

        func validate() throws {
            if shard != nil, !output.hasSuffix(".safetensors") {
                throw ValidationError("a part of all images is written as .safetensors")
            }
        }

        func run() async throws {
            let all = try await images.inputs()
            let (index, count) = (shard?.index ?? 0, shard?.count ?? 1)
            if shard != nil, let video = all.first(where: \.isVideo) {
                throw InputError.video(video.name)
            }
            let mine = all.indices.filter { $0 % count == index }.map { all[$0] }
            var model = try await settings.open(self.model, architecture: architecture)
            model.execution = execution.options()
            let node = try layer.map { try model.graph.node(named: $0) } ?? model.embedding
            let width = try model.graph.shapes(input: model.input())[node].count
            var rows = try FeatureRows(
                model, node: node, width: width,
                capacity: mine.contains(where: \.isVideo) ? nil : mine.count)
            let stream = ImageStream(
                mine, every: images.every, model.preprocessing,
                covering: model.preprocessing.covering)
            let progress = JobProgress("features")
            while let (input, image) = stream.read() {
                switch image {
                case .success(let image): try rows.add(image, input.name)
                case .failure(let error):
                    if mine.count == 1 { throw error }
                    let reason = (error as? any Diagnostic)?.message ?? "\(error)"
                    Terminal.say("warning: skipped \(input.name): \(reason)")
                    rows.skip(input.name)
                }
                progress.show(rows.seen, of: stream.total)
            }
            progress.end()
            let (names, features) = try rows.finish()
            var table = FeatureTable(
                names: names, features: features, source: model.source.sha256,
                layer: model.graph.nodes[node].name, index: index, count: count, total: all.count,
                list: FeatureTable.digest(all.map(\.name)))
            table.skipped = rows.skipped
            try FeaturesCommand.write(table, to: output)
            if !rows.skipped.isEmpty {
                throw InputError.skipped(rows.skipped.count, of: rows.seen)
            }
        }
    }

    /// Writes a table and says what it holds; stdout gets the path.
    static func write(_ table: FeatureTable, to path: String) throws {
        let files = try table.write(to: path)
        let count = table.names.count
        Terminal.say(
            "\(grouped(count)) \(count == 1 ? "vector" : "vectors") of \(grouped(table.width)) numbers"
                + (files.count > 1 ? ", names in \(files[1])" : ""))
        Terminal.answer(path)
    }

    struct Merge: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "merge",
            abstract: "Merge the parts written by `--shard`, in the order of the images.",
            discussion: "Example: graft features merge part-*.safetensors -o features.npy")

        @Argument(help: "The parts, in any order.") var parts: [String]
        @Option(name: .shortAndLong, help: "File to write to: .npy, .safetensors or .csv.")
        var output: String

        func run() throws {
            try FeaturesCommand.write(
                try FeatureTable(
                    merging: try parts.map { (path: $0, table: try FeatureTable($0)) }),
                to: output)
        }
    }
}

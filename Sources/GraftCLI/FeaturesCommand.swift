// `graft features`: the embeddings of photos.

import ArgumentParser
import Graft
import GraftFormats
import GraftImages
import GraftNetworks
import GraftTensors

struct FeaturesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features",
        abstract: "Compute the embeddings of photos with a backbone.",
        discussion: "Example: graft features timm/tf_efficientnet_lite0 *.jpg -o features.npy")

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Argument(help: "Photos: JPEG, PNG or WebP.") var photos: [String]
    @Option(name: .shortAndLong, help: "Where to write (photos, features), .npy.") var output:
        String
    @Option(help: "Take the value of this layer; the pooled features by default.") var layer:
        String?
    @Option(help: "The architecture of a weight file.") var architecture: String?

    func run() async throws {
        let model = try await Models.open(self.model, architecture: architecture)
        let node = try layer.map { try model.graph.node(named: $0) } ?? model.graph.features
        let runner = try Runner(model, batch: min(8, photos.count), output: node)
        var rows: [[Float]] = []
        for start in stride(from: 0, to: photos.count, by: 32) {
            let chunk = photos[start..<min(start + 32, photos.count)]
            rows += try runner.run(try chunk.map { try Image.decode(path: $0) })
            Terminal.redraw(
                Terminal.bar(
                    "features", done: rows.count, of: photos.count,
                    detail: "\(rows.count) of \(photos.count)"))
        }
        Terminal.redraw("")
        let width = rows.first?.count ?? 0
        try Npy.write(Tensor(rows.flatMap { $0 }, shape: [rows.count, width]), to: output)
    }
}

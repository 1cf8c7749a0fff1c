// `graft summary`: the layers, output shapes and parameters of a network.

import ArgumentParser
import Glibc
import Graft
import GraftArchitectures
import GraftFormats
import GraftNetworks
import GraftTensors

struct SummaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "summary",
        abstract: "Show a network's layers with output shapes and parameters.",
        discussion: """
            Examples:
              graft summary resnet50
              graft summary mobilenet:0.25-128-notop --json
              graft summary my-model.safetensors --size 160
              graft summary inceptionv3 --svg -o inceptionv3.svg

            On a terminal the table is as wide as it is; in a file or a pipe no name is shortened.
            """)

    @Argument(help: "An architecture's name, or a file of weights.")
    var network: String

    @Option(help: "The input's side in pixels, or height and width: `160`, `160x224`.")
    var size: String?

    @Option(help: "The number of classes (of an architecture).")
    var classes: Int?

    @Flag(help: "Leave off the classifier (also: the tag `notop`).")
    var notop = false

    @Flag(help: "One JSON object: layers, weights with logical shapes, totals.")
    var json = false

    @Flag(help: "A drawing of the network: SVG.")
    var svg = false

    @OptionGroup var selection: OutputSelection

    @Option(name: .shortAndLong, help: "A file to write instead of stdout.")
    var output: String?

    func validate() throws {
        if svg, json { throw ValidationError("--svg and --json: only one answer fits") }
        if let size, extent == nil {
            throw ValidationError("--size: expected 1 to 65536, or two as `160x224`, got `\(size)`")
        }
        if let classes, !(1...1_000_000).contains(classes) {
            throw ValidationError("--classes: expected 1 to 1000000, got \(classes)")
        }
    }

    private var extent: Extent? {
        let sides = (size ?? "").split(separator: "x").map { Int($0) ?? 0 }
        guard let first = sides.first, let last = sides.last, sides.count <= 2,
            sides.allSatisfy({ (1...65536).contains($0) })
        else { return nil }
        return Extent(first, last)
    }

    func run() throws {
        let (graph, usual) = try load()
        guard case .input(let images) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        let extent = self.extent ?? usual
        let input: Shape = [1, images.channels, extent.height, extent.width]
        if svg { return try answer(Drawing(graph, input: input).svg) }
        let summary = try Summary(graph, input: input)
        let width = output == nil ? Terminal.answerWidth : nil
        try answer(json ? JSON.line(summary) : summary.text(fitting: width))
    }

    private func answer(_ text: String) throws {
        guard let output else { return Terminal.answer(text) }
        var file = try AtomicFile(replacing: output)
        try file.write(Array((text + "\n").utf8))
        try file.commit()
    }

    private func load() throws -> (graph: Graph, size: Extent) {
        // A name is a name even where a folder is called the same; `./` makes it a path.
        if (try? Architectures.named(network)) != nil || access(network, F_OK) != 0 {
            let architecture = try Architectures.named(network)
            let tag = network.split(separator: ":", maxSplits: 1).dropFirst().first ?? ""
            let graph = try architecture.graph(
                top: !notop && !tag.split(separator: "-").contains("notop"),
                classes: classes ?? 1000, input: extent)
            return (graph, architecture.defaultInput)
        }
        let state = try Checkpoint.open(network)
        if Models.isNative(state) {
            let model = try Model.open(Checkpoint.file(at: network))
            let shape = model.input()
            return (model.graph, Extent(shape[2], shape[3]))
        }
        if let config = state.metadata["model_config"] {
            let (graph, _, input) = try KerasConfig.open(
                config, state: state, select: selection.select)
            return (graph, input)
        }
        let path = try Checkpoint.file(at: network)
        if let (graph, input) = try Models.network(
            at: path, state: state, select: selection.select)
        {
            return (graph, input)
        }
        let found = try Architectures.open(state, input: extent)
        for remark in found.weights.remarks { Terminal.say("note: \(remark)") }
        return (found.graph, found.architecture.defaultInput)
    }
}

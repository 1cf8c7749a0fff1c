// `graft run`: tensors in, tensors out.

import ArgumentParser
import Graft
import GraftExecution
import GraftFormats
import GraftNetworks
import GraftTensors

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a network on a tensor, with no preprocessing.",
        discussion:
            "Example: graft run model.safetensors --input x.npy --output y.npy --layout nhwc")

    enum Layout: String, ExpressibleByArgument, CaseIterable { case nhwc, nchw }

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Option(help: "The input: .npy of (N, C, H, W), or (N, H, W, C) with --layout nhwc.")
    var input: String
    @Option(help: "Where to write the result, .npy.") var output: String
    @Option(help: "The order of the axes of input and output.") var layout: Layout = .nchw
    @Option(help: "Stop after this layer, `features` or `logits`, and write its value.")
    var until: String?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var selection: OutputSelection
    @Option(help: "Threads to use; all by default.") var threads: Int?
    @OptionGroup var execution: ExecutionSettings

    func run() async throws {
        let model = try await Models.open(
            self.model, architecture: architecture, overrides: selection.overrides)
        var x = try Npy.read(input)
        guard x.shape.rank == 4 else {
            throw ModelError.unusable(
                input, reason: "expected 4 axes, found \(x.shape)", hint: "add the batch axis")
        }
        if layout == .nhwc { x = x.permuted([0, 3, 1, 2]) }
        let node = try until.map { try self.node($0, in: model.graph) } ?? model.graph.output
        var options = execution.options()
        options.threads = threads
        options.ranges = model.ranges
        let plan = try InferencePlan(
            graph: model.graph, weights: model.weights, input: x.shape, outputs: [node],
            options: options)
        var y = try plan.run(x.converted(to: .f32))[0]
        if layout == .nhwc, y.shape.rank == 4 { y = y.permuted([0, 2, 3, 1]) }
        try Npy.write(y, to: output)
    }

    /// A layer by its name; no layer is called `features` where that means the embedding.
    private func node(_ name: String, in graph: Graph) throws -> Int {
        if graph.index(of: name) == nil {
            if name == "features" { return graph.features }
            if name == "logits", let logits = graph.logits { return logits }
        }
        return try graph.node(named: name)
    }
}

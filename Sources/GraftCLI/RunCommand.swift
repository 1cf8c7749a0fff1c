// `graft run`: tensors in, tensors out.

import ArgumentParser
import Graft
import GraftArchitectures
import GraftExecution
import GraftFormats
import GraftNetworks
import GraftTensors

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a network on tensors, with no preprocessing.",
        discussion: """
            Example: graft run model.safetensors --input x.npy --output y.npy --layout nhwc
            A network with several inputs takes `--input NAME=FILE.npy` for each, or one .npz with all of them.
            An ONNX file is run for the sizes of its inputs, whatever of it depends on their numbers.
            """)

    enum Layout: String, ExpressibleByArgument, CaseIterable { case nhwc, nchw }

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Option(
        help: ArgumentHelp(
            "An input: .npy of (N, C, H, W), or (N, H, W, C) with --layout nhwc; .npz with all.",
            valueName: "[name=]file"))
    var input: [String]
    @Option(
        help: ArgumentHelp(
            "Where to write an output: .npy, a folder, or .npz with all.", valueName: "[name=]file")
    )
    var output: [String]
    @Option(help: "The order of the axes of input and output.") var layout: Layout = .nchw
    @Option(help: "Stop after this layer, `features` or `logits`, and write its value.")
    var until: String?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var selection: OutputSelection
    @Option(help: "Threads to use; all by default.") var threads: Int?
    @OptionGroup var execution: ExecutionSettings

    func run() async throws {
        if until == nil, architecture == nil, layout == .nchw,
            let file = try Models.onnx(at: model),
            try run(file)
        {
            return
        }
        var overrides = selection.overrides
        overrides.keepsOutputs = true
        let model = try await Models.open(
            self.model, architecture: architecture, overrides: overrides)
        var tensors = try ordered(
            try NamedInputs.read(input, of: model.inputNames), by: model.inputNames)
        if model.graph.takesImages, let x = tensors.first, x.shape.rank != 4 {
            throw ModelError.unusable(
                input.first ?? "--input", reason: "expected 4 axes, found \(x.shape)",
                hint: "add the batch axis")
        }
        if layout == .nhwc {
            tensors = tensors.map { $0.shape.rank == 4 ? $0.permuted([0, 3, 1, 2]) : $0 }
        }
        var options = execution.options()
        options.threads = threads
        options.ranges = model.ranges
        let node = try until.map { try self.node($0, in: model.graph) }
        let outputs = try NamedOutputs(
            output, of: node.map { [model.graph.nodes[$0].name] } ?? model.outputNames, select: nil)
        let values =
            try node.map { try model.values(of: [ValueID($0)], for: tensors, options: options) }
            ?? model.answers(named: outputs.names, for: tensors, options: options)
        try outputs.write(
            layout == .nhwc
                ? values.map { $0.shape.rank == 4 ? $0.permuted([0, 2, 3, 1]) : $0 } : values)
    }

    /// Runs an ONNX file as it declares its inputs; false where one image is given in another size, which
    /// the network may take as well.
    private func run(_ file: ONNXRun) throws -> Bool {
        let tensors = try NamedInputs.read(input, of: file.inputs)
        if tensors.count == 1, file.inputs.count == 1, let (name, tensor) = tensors.first,
            tensor.shape.rank == 4, !file.takes(tensor.shape, as: name)
        {
            return false
        }
        let outputs = try NamedOutputs(output, of: file.outputs, select: selection.select)
        var options = execution.options()
        options.threads = threads
        try outputs.write(
            try file.run(.planned(tensors, options: options), outputs: outputs.names))
        return true
    }

    /// The tensors in the order of the inputs.
    private func ordered(_ tensors: [String: Tensor], by names: [String]) throws -> [Tensor] {
        try names.map { name in
            guard let tensor = tensors[name] else {
                throw ModelError.unusable(
                    "--input", reason: "no tensor is given for the input `\(name)`",
                    hint: "write `--input \(name)=FILE.npy`")
            }
            return tensor
        }
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

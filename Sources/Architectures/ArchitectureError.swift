// No architecture has that name, or those tensors.

public import GraftTensors

/// Why no architecture was found.
public enum ArchitectureError: Diagnostic, Equatable {
    /// No built-in architecture has this name.
    case unknown(String, candidates: [String])
    /// No built-in architecture has tensors of these names and shapes.
    case unidentified(tensors: [String], nearest: Nearest? = nil)
    /// The file holds all of the network asked for, and tensors of other layers in the midst of it.
    case altered(Nearest)
    /// The file holds several networks under different prefixes.
    case ambiguous([Candidate])
    /// The tensors fit networks that compute different things with them.
    case indistinct([String])
    /// The network is a part of a larger one.
    case part(of: [String], prefix: String, network: String)
    /// The format describes its network, and its tensors fit none by their names.
    case tensorsOnly(format: String)
    /// The weights of these layers or tensors are quantised.
    case quantized(mode: String, names: [String])
    /// A file beside the weights names a network that is not built in.
    case notBuiltIn(String, source: String)

    /// Weights of a network that computes something else with them than the one asked for.
    case variant(String, of: String, differences: [String])
    /// A Keras configuration asks for something that graft does not do.
    case keras(layer: String, reason: String)
    /// An ONNX model has, or would need, something that graft does not do.
    case onnx(node: String, reason: String)
    /// A TFLite model has, or would need, something that graft does not do.
    case tflite(operator: String, reason: String)
    /// A program of torch.export has something that graft does not do.
    case exportedProgram(node: String, reason: String)

    /// A network with several outputs, none of which is chosen, or none of the chosen name.
    case outputs([String], selected: String?)
    /// A network has no input of this name.
    case inputs([String], named: String)

    /// A network that a file has all weights of, and those that it has besides.
    public struct Nearest: Sendable, Equatable {
        /// The network's name.
        public var network: String
        /// The tensors in the midst of it that it does not have.
        public var others: [String]
    }

    /// One of several networks in a file.
    public struct Candidate: Sendable, Equatable {
        /// What the names of its tensors begin with.
        public var prefix: String
        /// The network's name.
        public var network: String
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(5).map { "`\($0)`" }.joined(separator: ", ")
            + (names.count > 5 ? " and \(names.count - 5) more" : "")
    }

    /// What happened.
    public var message: String {
        switch self {
        case .outputs(let names, let selected):
            (selected.map { "no output is called `\($0)`; " } ?? "")
                + (names.isEmpty
                    ? "the network has one output"
                    : "the network has \(names.count) outputs: "
                        + names.map { "`\($0)`" }.joined(separator: ", "))
        case .inputs(let names, let name):
            "no input is called `\(name)`, expected "
                + names.map { "`\($0)`" }.joined(separator: ", ")
        case .altered(let near):
            "the file has all weights of the backbone of `\(near.network)`, and layers inside it that "
                + "`\(near.network)` does not have: \(Self.list(near.others))"
        case .ambiguous(let candidates):
            "the file holds \(candidates.count) networks: "
                + candidates.prefix(5).map { "`\($0.prefix)` (\($0.network))" }
                .joined(separator: ", ")
        case .indistinct(let names):
            "the tensors fit several networks that compute different results with them: "
                + Self.list(names)
        case .part(let names, let prefix, let network):
            "the file holds a larger network: "
                + (prefix.isEmpty
                    ? "the backbone of `\(network)`"
                    : "`\(prefix)` is the backbone of `\(network)`")
                + ", beside it are \(Self.list(names))"
        case .tensorsOnly(let format):
            "the graph of a \(format) file says what the network is: no architecture can be named"
        case .quantized(let mode, let names):
            "the weights are quantised (\(mode)), which graft does not run: \(Self.list(names))"
        case .notBuiltIn(let name, let source):
            "\(source) names the network `\(name)`, which is not built into graft"
        case .onnx(let node, let reason): "the ONNX node `\(node)`: \(reason)"
        case .tflite(let name, let reason): "the TFLite operator `\(name)`: \(reason)"
        case .exportedProgram(let node, let reason): "the node `\(node)`: \(reason)"
        case .keras(let layer, let reason): "the Keras layer `\(layer)`: \(reason)"
        case .variant(let name, let other, let differences):
            "the weights are those of `\(name)`, which is another network than `\(other)`: "
                + differences.joined(separator: "; ")
        case .unknown(let name, _): "unknown architecture `\(name)`"
        case .unidentified(let tensors, let near):
            "no built-in architecture has these tensors: "
                + tensors.map { "`\($0)`" }.joined(separator: ", ") + "…"
                + (near.map {
                    "; they include the backbone of `\($0.network)`, with other layers inside it: "
                        + Self.list($0.others)
                } ?? "")
        }
    }
    /// A prefix as the option takes it.
    private static func bare(_ prefix: String) -> String {
        prefix.isEmpty ? "NAME" : String(prefix.dropLast())
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .onnx, .tflite, .exportedProgram: nil
        case .inputs(let names, _): names.first.map { "write `--input \($0)=FILE.npy`" }
        case .outputs(let names, _):
            names.first.map { "choose one by its name: `--select \($0)`" }
                ?? "leave out `--select`"
        case .altered: "a network with other layers is another network: export it to ONNX"
        case .ambiguous(let candidates):
            "choose one: `--state-dict \(candidates.first.map { Self.bare($0.prefix) } ?? "NAME")`"
        case .indistinct(let names):
            "say which it is: `--architecture \(names.first ?? "NAME")`"
        case .part(_, let prefix, _):
            "take the backbone alone with `graft convert --notop`"
                + (prefix.isEmpty ? "" : ", or choose `--state-dict \(Self.bare(prefix))`")
        case .tensorsOnly: "leave out `--architecture`"
        case .quantized: "use the model as it was before quantisation"
        case .notBuiltIn:
            "export it to ONNX, which graft runs; `graft models --runnable` lists the networks that it has"
        case .variant(let name, _, _): "use them as what they are: `--architecture \(name)`"
        case .keras: "save the model without that layer, or convert only its weights"
        case .unknown(_, let candidates):
            candidates.isEmpty
                ? "list the names with `graft models --runnable`"
                : "did you mean \(candidates.map { "`\($0)`" }.joined(separator: ", "))?"
        case .unidentified:
            "name the architecture with `--architecture`; mismatches are then listed"
        }
    }
}

// No architecture has that name, or those tensors.

public import GraftTensors

/// Why no architecture was found.
public enum ArchitectureError: Diagnostic, Equatable {
    /// No built-in architecture has this name.
    case unknown(String, candidates: [String])
    /// No built-in architecture has tensors of these names and shapes.
    case unidentified(tensors: [String])

    /// Weights of a network that computes something else with them than the one asked for.
    case variant(String, of: String, differences: [String])
    /// A Keras configuration asks for something that graft does not do.
    case keras(layer: String, reason: String)
    /// An ONNX model has, or would need, something that graft does not do.
    case onnx(node: String, reason: String)

    /// A network with several outputs, none of which is chosen, or none of the chosen name.
    case outputs([String], selected: String?)

    /// What happened.
    public var message: String {
        switch self {
        case .outputs(let names, let selected):
            (selected.map { "no output is called `\($0)`; " } ?? "")
                + (names.isEmpty
                    ? "the network has one output"
                    : "the network has \(names.count) outputs: "
                        + names.map { "`\($0)`" }.joined(separator: ", "))
        case .onnx(let node, let reason): "the ONNX node `\(node)`: \(reason)"
        case .keras(let layer, let reason): "the Keras layer `\(layer)`: \(reason)"
        case .variant(let name, let other, let differences):
            "the weights are those of `\(name)`, which is another network than `\(other)`: "
                + differences.joined(separator: "; ")
        case .unknown(let name, _): "no architecture is called `\(name)`"
        case .unidentified(let tensors):
            "no built-in architecture has these tensors: "
                + tensors.map { "`\($0)`" }.joined(separator: ", ") + "…"
        }
    }
    /// What to do about it.
    public var hint: String? {
        switch self {
        case .onnx: nil
        case .outputs(let names, _):
            names.first.map { "choose one by its name: `--select \($0)`" }
                ?? "leave out `--select`"
        case .variant(let name, _, _): "use them as what they are: `--architecture \(name)`"
        case .keras: "save the model without that layer, or convert only its weights"
        case .unknown(_, let candidates):
            candidates.isEmpty
                ? "list the names with `graft models`"
                : "did you mean \(candidates.map { "`\($0)`" }.joined(separator: ", "))?"
        case .unidentified:
            "name the architecture with `--architecture`; mismatches are then listed"
        }
    }
}

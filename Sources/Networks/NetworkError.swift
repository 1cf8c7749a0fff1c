// What can be wrong with a network or with the weights that are to fill it.

public import GraftTensors

/// An error in the structure of a network, or between it and a state dict.
public enum NetworkError: Diagnostic, Equatable {
    /// A node is unsound: a shape that does not fit, an index out of range, a nonsensical setting.
    case invalidNode(String, reason: String)
    /// The graph as a whole is unsound.
    case invalidGraph(String)
    /// A newer graft wrote the graph.
    case formatVersion(Int, newest: Int)
    /// No node has this name.
    case noNode(String, candidates: [String])
    /// A position table that is not one of a square grid of patches.
    case positionTable(String, Shape)
    /// An image that does not divide into patches.
    case unevenPatches(size: Extent, patch: Int)
    /// The weights do not fit the network.
    case binding(BindingReport)

    /// What happened.
    public var message: String {
        switch self {
        case .invalidNode(let node, let reason): "layer `\(node)`: \(reason)"
        case .invalidGraph(let reason): "the network's graph is not sound: \(reason)"
        case .formatVersion(let found, let newest):
            "the network is of format \(found), expected 1 to \(newest)"
        case .noNode(let name, _): "the network has no layer `\(name)`"
        case .positionTable(let name, let shape):
            "expected a table (1, T, C) of a square grid in `\(name)`, found \(shape)"
        case .unevenPatches(let size, let patch):
            "expected a size in patches of \(patch) pixels, found \(size)"
        case .binding(let report): report.message
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .invalidNode, .invalidGraph, .positionTable: nil
        case .unevenPatches(_, let patch): "take a multiple of \(patch)"
        case .formatVersion: "a newer graft wrote it: update this one"
        case .noNode(_, let candidates):
            candidates.isEmpty
                ? "list its layers with `graft summary`"
                : "did you mean \(candidates.prefix(3).map { "`\($0)`" }.joined(separator: ", "))?"
        case .binding(let report): report.hint
        }
    }
}

// Nodes that one step computes together, decided before anything is compiled.

public import GraftNetworks

/// Nodes that one step computes together, and how.
struct Group: Equatable {
    /// The nodes in order; the first one's rule compiles the group.
    var nodes: [Int]
    /// The BatchNorm that is folded into the weights.
    var norm: Int?
    /// The sum that the step writes its result into, and the other value that goes into it.
    var sum: Int?
    var addend: ValueID?
    /// The activation that the step applies last.
    var activation: Int?
    /// Zeros that the step puts around what it reads, instead of a node before it.
    var padding: Padding?
    /// Whether the value is that of the input as it lies: a reader does the work.
    var isHandedOn = false
    /// The channels of a concatenation that the value is written into.
    var place: Homes.Place?
    /// The precision that is planned; oneDNN may lack the code for it.
    var precision = Precision.f32
    /// Whether the value is wanted in eight bits.
    var isToldInEightBits = false
    /// Why the group ends here.
    var end = GroupEnd.unfusable

    var first: Int { nodes[0] }
    var last: Int { nodes[nodes.count - 1] }
}

/// Why a group takes in no further node.
enum GroupEnd: Equatable {
    /// Its step does nothing else.
    case unfusable
    /// Its value is an output of the plan.
    case output
    /// Several nodes read its value.
    case readers(Int)
    /// No step takes in the node that reads its value.
    case reader(Int)

    func text(_ graph: Graph) -> String {
        switch self {
        case .unfusable: "a step of its own"
        case .output: "its value is an output"
        case .readers(let count): "\(count) layers read its value"
        case .reader(let node): "`\(graph.nodes[node].name)` is a step of its own"
        }
    }
}

/// A group of a plan, as ``InferencePlan/groups`` and ``TrainingPlan/groups`` list them.
public struct PlanGroup: Sendable, Hashable, Codable {
    /// The layers that one step computes, in order.
    public var layers: [String]
    /// The layer whose value is added and may be overwritten.
    public var addend: String?
    /// Rows and columns of zeros that the step puts around what it reads.
    public var padding: Padding?
    /// The concatenation that the value is written into at once.
    public var place: String?
    /// The precision that is planned: `f32`, `bf16` or `int8`.
    public var precision: String
    /// The reason why the group takes in no further layer.
    public var end: String

    init(_ group: Group, in graph: Graph) {
        func name(_ node: Int) -> String { graph.nodes[node].name }
        layers = group.nodes.map(name)
        addend = group.addend.map { name($0.node) }
        padding = group.padding
        place = group.place.map { name($0.root) }
        precision = group.precision.rawValue
        end = group.isHandedOn ? "its reader does its work" : group.end.text(graph)
    }
}

// A program of torch.export as values: its graph of ATen operators.

/// The network of a `.pt2` archive (torch/_export/serde/schema.py).
package struct ExportedProgram: Sendable {
    /// The size of an axis: a number, or one that a caller chooses.
    package enum Size: Sendable, Equatable {
        case fixed(Int)
        case symbol(String)
    }

    /// A value of the graph: the sizes and the number of its type.
    package struct Value: Sendable {
        package var sizes: [Size]
        package var type: Int

        package init(sizes: [Size], type: Int) {
            self.sizes = sizes
            self.type = type
        }
    }

    /// An argument of an operator.
    package enum Argument: Sendable, Equatable {
        case none
        case tensor(String)
        /// A list of tensors; nil for one that is left out.
        case tensors([String?])
        case integer(Int)
        /// Integers, and the names of those that are computed.
        case integers([Size])
        case number(Double)
        case numbers([Double])
        case flag(Bool)
        case flags([Bool])
        case text(String)
        /// An integer that is computed.
        case symbol(String)
        /// The number of a type in the schema.
        case type(Int)
        /// A graph that the operator calls.
        case graph(Subgraph)
        /// An argument of a kind that no operator of graft's takes.
        case other(String)
    }

    /// A graph within a graph.
    package struct Subgraph: Sendable, Equatable {
        package static func == (a: Self, b: Self) -> Bool { a.name == b.name }

        package var name: String
        package var inputs: [String]
        package var outputs: [String]
        package var nodes: [Node]
        package var values: [String: Value]

        package init(
            name: String, inputs: [String], outputs: [String], nodes: [Node],
            values: [String: Value]
        ) {
            self.name = name
            self.inputs = inputs
            self.outputs = outputs
            self.nodes = nodes
            self.values = values
        }
    }

    /// A call of an operator.
    package struct Node: Sendable {
        package var name: String
        /// The operator: `torch.ops.aten.conv2d.default`.
        package var target: String
        package var arguments: [(name: String, value: Argument)]
        /// The names of its values; empty for one that nothing reads.
        package var outputs: [String]
        /// The module that called it: `layer1.0.conv1`.
        package var module: String

        package init(
            name: String, target: String, arguments: [(name: String, value: Argument)],
            outputs: [String], module: String
        ) {
            self.name = name
            self.target = target
            self.arguments = arguments
            self.outputs = outputs
            self.module = module
        }
    }

    /// The origin of a value that enters the graph.
    package enum Origin: Sendable, Equatable {
        /// A weight or a constant, by its name in the state dict.
        case weight(String)
        /// A value that the caller gives.
        case user
        /// A number that the caller gave when the program was exported.
        case constant
    }

    package var inputs: [(name: String, origin: Origin)] = []
    /// The values that the caller gets.
    package var outputs: [String] = []
    package var nodes: [Node] = []
    package var values: [String: Value] = [:]

    package init() {}
}

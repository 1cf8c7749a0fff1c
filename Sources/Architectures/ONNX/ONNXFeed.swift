// The tensors that an ONNX file is run on, and what of the file is still to be read.

package import GraftNetworks
internal import GraftSchemas
package import GraftTensors

/// The inputs of a run, and the means to compute values in the midst of a file.
///
/// With these a file is read for one set of tensors: sizes are those of the tensors, and where an operator
/// asks for numbers that are computed (the size of a reshape, a condition, the boxes that are left), the
/// graph is cut: the part before is run, and the reader continues with its values.
package struct ONNXFeed {
    /// Runs a graph on the values of its inputs, in their order, and gives the wanted values.
    package typealias Evaluation = (
        _ graph: Graph, _ weights: StateDict, _ inputs: [Tensor], _ wanted: [ValueID]
    ) throws -> [Tensor]

    /// The inputs by name.
    package let inputs: [String: Tensor]
    /// Runs a graph.
    package let evaluate: Evaluation

    /// The inputs of a run and what computes values.
    package init(inputs: [String: Tensor], evaluate: @escaping Evaluation) {
        self.inputs = inputs
        self.evaluate = evaluate
    }

    /// The largest number of integers or truth values that are structure: they are held as they are and
    /// not as values of the graph.
    static let structureCount = 4096
    /// The largest magnitude of an integer that a value of the graph holds exactly.
    static let exactMagnitude = 16_777_216.0
}

extension Tensor {
    /// Whether a tensor is held as numbers: integers that may decide sizes, and what a graph has no value
    /// for (scalars, nothing at all).
    var isStructure: Bool {
        count == 0 || shape.rank == 0
            || !dtype.isFloatingPoint && count <= ONNXFeed.structureCount
    }

    /// Whether floats hold all of its integers.
    var isExact: Bool {
        switch dtype {
        case .i32, .u32, .i64, .u64:
            doubles.allSatisfy { abs($0) <= ONNXFeed.exactMagnitude }
        default: true
        }
    }
}

/// A list of nodes under way: a graph of the file, or one inside an operator.
struct ONNXFrame {
    /// The last node that reads each name; `Int.max` for what is read at the end.
    private var lastReaders: [String: Int] = [:]
    /// The node under way.
    var position = 0

    /// The nodes of a graph, and the names that are read when they are done.
    init(_ nodes: [Onnx_NodeProto], then names: some Sequence<String>) {
        for (index, node) in nodes.enumerated() {
            for name in node.allReads { lastReaders[name] = index }
        }
        for name in names { lastReaders[name] = .max }
    }

    /// Whether the node under way or a later one reads a value.
    func needs(_ name: String) -> Bool { lastReaders[name].map { $0 >= position } ?? false }
}

extension Onnx_NodeProto {
    /// The names that it reads, with those that the graphs inside it read.
    var allReads: [String] {
        input
            + attribute.flatMap { attribute in
                ((attribute.hasG ? [attribute.g] : []) + attribute.graphs).flatMap { graph in
                    graph.node.flatMap(\.allReads) + graph.output.map(\.name)
                }
            }
    }
}

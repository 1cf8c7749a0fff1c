// A graph of ONNX operators that the reader of another format writes down for ONNX' reader.

import GraftNetworks
internal import GraftSchemas
import GraftTensors
import OrderedCollections

/// A step between TFLite or .pt2 files and a graph: ONNX' operators have readers for every
/// form of an operation, and a foreign operator is then a row that says which of them it is.
struct ONNXDraft {
    /// The version of the operators that are written.
    static let opset = 20

    private var graph: ONNXGraph
    private var constants = StateDict()
    private var inputs: [Onnx_ValueInfoProto] = []
    private var outputs: [Onnx_ValueInfoProto] = []

    /// An empty graph. `reserved` are names that no value takes.
    init(reserved: StateDict) { graph = ONNXGraph(weights: reserved) }

    /// Adds the input of this name and shape.
    mutating func input(named name: String, shape: [Int]) {
        inputs.append(Self.value(named: name, shape: shape))
    }

    /// Makes a value the output of this name.
    mutating func output(_ value: String, named name: String) {
        if value != name {
            graph.emit("Identity", name: name, inputs: [value], yields: [name])
        }
        outputs.append(Self.value(named: name, shape: []))
    }

    private static func value(named name: String, shape: [Int]) -> Onnx_ValueInfoProto {
        var tensor = Onnx_TypeProto.Tensor()
        tensor.elemType = 1
        tensor.shape.dim = shape.map { size in
            var dimension = Onnx_TensorShapeProto.Dimension()
            dimension.dimValue = Int64(size)
            return dimension
        }
        var value = Onnx_ValueInfoProto()
        value.name = name
        value.type.tensorType = tensor
        return value
    }

    // MARK: Constants

    /// Adds numbers under a name of their own; returns it.
    mutating func constant(_ tensor: Tensor, name: String) -> String {
        let name = graph.claim(name)
        constants[name] = LazyTensor(tensor)
        return name
    }

    /// Adds numbers under the name that the file has for them.
    mutating func weight(_ tensor: LazyTensor, name: String) { constants[name] = tensor }

    /// Adds a list of integers.
    mutating func constant(_ values: [Int], name: String) -> String {
        constant(
            Tensor(.i64, [values.count], storage: Storage(values.map { Int64($0) })), name: name)
    }

    /// Adds one integer.
    mutating func constant(integer value: Int, name: String) -> String {
        constant(Tensor(.i64, [], storage: Storage([Int64(value)])), name: name)
    }

    /// Adds one number.
    mutating func constant(_ value: Float, name: String) -> String {
        constant(Tensor([value], shape: []), name: name)
    }

    // MARK: Operators

    /// Adds an operator and returns the name of its first value.
    mutating func emit(
        _ type: String, name: String, inputs: [String], attributes: ONNXGraph.Attributes = [:]
    ) -> String {
        graph.emit(type, name: name, inputs: inputs, attributes: attributes)
    }

    /// Adds an operator of several values and returns their names.
    mutating func emit(
        _ type: String, name: String, inputs: [String], attributes: ONNXGraph.Attributes = [:],
        valueCount: Int
    ) -> [String] {
        let names = (0..<valueCount).map { graph.claim("\(name).\($0)") }
        graph.emit(type, name: name, inputs: inputs, attributes: attributes, yields: names)
        return names
    }

    /// Adds the bounds of a value; infinite ones bound nothing.
    mutating func clip(
        _ x: String, to range: ClosedRange<Float>, name: String
    ) -> String {
        if range.lowerBound == 0, range.upperBound == .infinity {
            return emit("Relu", name: name, inputs: [x])
        }
        let low = range.lowerBound.isFinite ? constant(range.lowerBound, name: name + ".min") : ""
        let high = range.upperBound.isFinite ? constant(range.upperBound, name: name + ".max") : ""
        guard low != "" || high != "" else { return x }
        return emit("Clip", name: name, inputs: [x, low, high])
    }

    /// The graph with its weights, as ONNX' reader reads it.
    func finish(
        named name: String, select: String?
    ) throws -> (graph: Graph, weights: StateDict, input: Extent) {
        var proto = Onnx_GraphProto()
        proto.name = name
        proto.node = graph.nodes
        proto.input = inputs
        proto.output = outputs
        ONNXImport.keepNeededNodes(in: &proto)
        return try ONNXImport.read(
            proto, initializers: constants, opset: Self.opset, select: select)
    }
}

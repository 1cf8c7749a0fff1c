// A node of an ONNX file: its attributes, and the values that it reads.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// A value of an ONNX graph: numbers that are known, or what a node of the graph yields.
enum ONNXValue {
    case constant(Tensor)
    case node(Int)
    /// Node's value with its axes as N, H, W, C.
    case channelsLast(Int)
    /// Node's channels split in groups, before and after the exchange of a channel shuffle.
    case split(Int, groups: Int)
    case shuffled(Int, groups: Int)
}

/// A tensor of the file, under its name there.
struct ONNXWeight {
    let name: String
    let tensor: Tensor
}

/// A node of an ONNX file under way into the graph.
struct ONNXNode {
    /// The largest count of integers that an input may give: shapes, axes and pads.
    static let maximumIntegerCount = 64

    let proto: Onnx_NodeProto
    /// The version of the operators.
    let opset: Int
    /// The values that it reads; nil where an optional one is left out.
    let inputs: [ONNXValue?]

    var type: String { proto.opType }
    /// Whether the operator is one of ONNX's own.
    var isStandard: Bool { proto.domain.isEmpty || proto.domain == "ai.onnx" }
    /// The operator in the tables: its name, after that of another domain.
    var key: String { isStandard ? type : "\(proto.domain).\(type)" }
    /// The name in the file of a value that it reads.
    func name(ofInput index: Int) -> String { proto.input[index] }
    /// The number of values that it yields.
    var outputCount: Int { proto.output.count }

    /// The reason why the node cannot be read.
    func fail(_ reason: String) -> ArchitectureError {
        .onnx(
            node: proto.name.isEmpty ? proto.output.first ?? "?" : proto.name, reason: reason)
    }

    /// The operator has no input where it needs one or more.
    var readsNothing: ArchitectureError { fail("it reads nothing") }

    // MARK: Inputs

    /// A value that the node must have.
    func value(at index: Int = 0) throws -> ONNXValue {
        guard inputs.indices.contains(index), let value = inputs[index] else {
            throw fail(.missingInput(String(index)))
        }
        return value
    }

    /// Numbers that are known; nil if they are left out.
    func tensor(at index: Int) throws -> Tensor? {
        guard inputs.indices.contains(index), let value = inputs[index] else { return nil }
        guard case .constant(let tensor) = value else {
            throw fail("its input `\(proto.input[index])` is computed, expected numbers")
        }
        return tensor
    }

    /// A weight; nil if it is left out.
    func weight(at index: Int) throws -> ONNXWeight? {
        try tensor(at: index).map { ONNXWeight(name: proto.input[index], tensor: $0) }
    }

    /// A weight that the node must have.
    func requiredWeight(at index: Int) throws -> ONNXWeight {
        guard let weight = try weight(at: index) else { throw fail(.missing(.weights)) }
        return weight
    }

    /// Integers that are known; nil if they are left out.
    func integers(at index: Int) throws -> [Int]? {
        guard let tensor = try tensor(at: index) else { return nil }
        guard tensor.count <= Self.maximumIntegerCount else { throw fail("too many numbers") }
        return tensor.integers
    }

    // MARK: Attributes

    func attribute(_ name: String) -> Onnx_AttributeProto? {
        proto.attribute.first { $0.name == name }
    }
    func integer(_ name: String, or usual: Int) -> Int {
        attribute(name).map { Int(clamping: $0.i) } ?? usual
    }
    func integers(_ name: String) -> [Int]? {
        attribute(name).map { $0.ints.map { Int(clamping: $0) } }
    }
    /// Integers that early versions have as an attribute and later ones as an input.
    func integers(_ name: String, orAt index: Int) throws -> [Int]? {
        try integers(name) ?? integers(at: index)
    }
    func number(_ name: String, or usual: Float) -> Float { attribute(name)?.f ?? usual }
    func numbers(_ name: String) -> [Float]? { attribute(name)?.floats }
    func text(_ name: String) -> String? {
        attribute(name).map { String(decoding: $0.s, as: UTF8.self) }
    }
    func texts(_ name: String) -> [String]? {
        attribute(name).map { $0.strings.map { String(decoding: $0, as: UTF8.self) } }
    }
    /// The tensor of an attribute; nil if it has none.
    func tensor(_ name: String) throws -> Tensor? {
        guard let attribute = attribute(name), attribute.hasT else { return nil }
        do { return try attribute.t.tensor() } catch { throw fail(error.reason) }
    }
}

extension Tensor {
    /// The elements as integers: those beyond the range of Int are its ends.
    var integers: [Int] {
        guard dtype == .i64 else {
            return doubles.map { value in
                Int(exactly: value.rounded()) ?? (value > 0 ? .max : value < 0 ? .min : 0)
            }
        }
        return withBytes { bytes in
            (0..<count).map { place in
                Int(bytes.loadUnaligned(fromByteOffset: place * 8, as: Int64.self))
            }
        }
    }

    /// The elements in double precision.
    var doubles: [Double] {
        converted(to: .f64).withBytes { bytes in
            (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
        }
    }
}

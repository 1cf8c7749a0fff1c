// Operators of ONNX that others are made of.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    /// The version of the operators that compositions are written in.
    private static let compositionOpset = 21

    /// The value of an operator of values at hand, as a part of `node`.
    mutating func apply(
        _ type: String, to inputs: ONNXValue?..., with attributes: ONNXGraph.Attributes = [:],
        for node: ONNXNode
    ) throws -> ONNXValue {
        try applyAll(type, to: inputs, with: attributes, for: node)[0]
    }

    /// The values of an operator of values at hand, as a part of `node`.
    mutating func applyAll(
        _ type: String, to inputs: [ONNXValue?], with attributes: ONNXGraph.Attributes = [:],
        outputs: Int = 1, for node: ONNXNode
    ) throws -> [ONNXValue] {
        partCount += 1
        let base = node.proto.name.isEmpty ? node.proto.output.first ?? node.type : node.proto.name
        var proto = Onnx_NodeProto()
        proto.opType = type
        proto.name = "\(base).\(type)\(partCount)"
        proto.input = inputs.indices.map { inputs[$0] == nil ? "" : "\(proto.name).input\($0)" }
        proto.output = (0..<outputs).map { "\(proto.name).output\($0)" }
        proto.attribute = attributes.protos
        let part = ONNXNode(proto: proto, opset: Self.compositionOpset, inputs: inputs)
        let results = try read(part)
        guard results.count >= outputs else {
            throw node.fail(.missing(.output))
        }
        return results
    }

    /// The shape of a value.
    mutating func shape(of value: ONNXValue, for node: ONNXNode) throws -> Shape {
        switch value {
        case .constant(let tensor): tensor.shape
        case .node(let x): builder.shapes[x]
        case .channelsLast, .split, .shuffled:
            builder.shapes[
                try operand(of: ONNXNode(reading: value, named: node.type, opset: opset))]
        }
    }

    /// The element type of a value.
    func element(of value: ONNXValue) -> DType {
        switch value {
        case .constant(let tensor): tensor.dtype
        case .node(let x), .channelsLast(let x), .split(let x, _), .shuffled(let x, _):
            builder.types[x][0].element
        }
    }

    /// A value under other sizes: 0 keeps an axis, −1 is what is left.
    mutating func reshape(
        _ value: ONNXValue, to sizes: [Int], for node: ONNXNode
    ) throws -> ONNXValue {
        try apply("Reshape", to: value, .integers(sizes), for: node)
    }

    /// A value with its axes in another order.
    mutating func transpose(
        _ value: ONNXValue, by order: [Int], for node: ONNXNode
    ) throws -> ONNXValue {
        // A lazy order of axes would be one more thing to know.
        let turned = try apply("Transpose", to: value, with: ["perm": .integers(order)], for: node)
        guard case .node = turned else {
            if case .constant = turned { return turned }
            return .node(try operand(of: ONNXNode(reading: turned, named: node.type, opset: opset)))
        }
        return turned
    }

    /// Elements of an axis.
    mutating func slice(
        _ value: ONNXValue, axis: Int, from start: Int, to end: Int, step: Int = 1,
        for node: ONNXNode
    ) throws -> ONNXValue {
        try apply(
            "Slice", to: value, .integers([start]), .integers([end]), .integers([axis]),
            .integers([step]), for: node)
    }

    /// Values joined along an axis.
    mutating func concatenate(
        _ values: [ONNXValue], axis: Int, for node: ONNXNode
    ) throws -> ONNXValue {
        values.count == 1
            ? values[0]
            : try applyAll("Concat", to: values, with: ["axis": .integer(axis)], for: node)[0]
    }
}

extension ONNXValue {
    /// One number.
    static func number(_ value: Float) -> ONNXValue { .constant(Tensor([value], shape: [])) }

    /// Numbers in single precision.
    static func numbers(_ values: [Float], shape: Shape) -> ONNXValue {
        .constant(Tensor(values, shape: shape))
    }

    /// A list of integers.
    static func integers(_ values: [Int], shape: Shape? = nil) -> ONNXValue {
        .constant(
            Tensor(.i64, shape ?? [values.count], storage: Storage(values.map { Int64($0) })))
    }

    /// One integer.
    static func integer(_ value: Int) -> ONNXValue {
        .constant(Tensor(.i64, [], storage: Storage([Int64(value)])))
    }

    /// Truth values.
    static func truths(_ values: [Bool], shape: Shape) -> ONNXValue {
        .constant(Tensor(.bool, shape, storage: Storage(values.map { UInt8($0 ? 1 : 0) })))
    }
}

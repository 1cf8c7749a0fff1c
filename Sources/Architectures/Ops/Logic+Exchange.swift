// Comparisons, truth values, choices and element types, as ONNX has them.

import GraftNetworks
import GraftTensors

/// Operators of truth values, which are 1 and 0 in a graph.
enum ONNXLogic {
    static let operators: [String: ONNXOperator] = [
        "And": .node { try joined(.binary(.minimum), of: $0, in: &$1) },
        "ArgMax": .value { try readArgExtreme($0, in: &$1, largest: true) },
        "ArgMin": .value { try readArgExtreme($0, in: &$1, largest: false) },
        "Cast": .value(readCast),
        "CastLike": .value(readCastLike),
        "Equal": .node { try joined(.compare(.equal), of: $0, in: &$1) },
        "Greater": .node { try joined(.compare(.greater), of: $0, in: &$1) },
        "GreaterOrEqual": .node { try joined(.compare(.greaterOrEqual), of: $0, in: &$1) },
        "IsInf": .value(readInfinity),
        "IsNaN": .value { node, reader in
            // What is not itself.
            let same = try reader.apply("Equal", to: node.inputs[0], node.inputs[0], for: node)
            return try reader.apply("Not", to: same, for: node)
        },
        "Less": .node { try joined(.compare(.less), of: $0, in: &$1) },
        "LessOrEqual": .node { try joined(.compare(.lessOrEqual), of: $0, in: &$1) },
        "Not": .node { node, reader in
            let x = try reader.operand(of: node)
            let zero = try reader.number(0, for: node, suffix: ".false")
            return try reader.emit(.compare(.equal), for: node, reading: [x, zero])
        },
        "Or": .node { try joined(.binary(.maximum), of: $0, in: &$1) },
        "Where": .node { node, reader in
            try reader.emit(
                .where, for: node, reading: try reader.operands(of: node, count: 3))
        },
        "Xor": .value { node, reader in
            let same = try reader.apply("Equal", to: node.inputs[0], node.inputs[1], for: node)
            return try reader.apply("Not", to: same, for: node)
        },
    ]

    private static func joined(
        _ op: Op, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        try reader.emit(op, for: node, reading: try reader.operands(of: node, count: 2))
    }

    /// `Cast`: floats of every width are floats here.
    private static func readCast(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let type = node.integer("to", or: 1)
        guard let element = DType(onnxType: type) else {
            throw node.fail(.unknown(.elementType, String(type)))
        }
        let value = try node.value()
        if reader.element(of: value) == element { return value }
        if case .constant(let tensor) = value, tensor.dtype.isFloatingPoint, element == .f32 {
            return value
        }
        let x = try reader.operand(of: node)
        if reader.builder.types[x][0].element == element { return .node(x) }
        return .node(try reader.emit(.cast(element), for: node, reading: [x]))
    }

    /// `CastLike`: to the type of another value.
    private static func readCastLike(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let element = reader.element(of: try node.value(at: 1))
        let x = try reader.operand(of: node)
        let target: DType = element.isFloatingPoint ? .f32 : element
        if reader.builder.types[x][0].element == target { return .node(x) }
        return .node(try reader.emit(.cast(target), for: node, reading: [x]))
    }

    /// `IsInf`, of either sign or both.
    private static func readInfinity(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let isPositive = node.integer("detect_positive", or: 1) != 0
        let isNegative = node.integer("detect_negative", or: 1) != 0
        var x = try node.value()
        guard isPositive || isNegative else {
            let shape = try reader.shape(of: x, for: node)
            return .truths([Bool](repeating: false, count: shape.count), shape: shape)
        }
        if isPositive, isNegative { x = try reader.apply("Abs", to: x, for: node) }
        return try reader.apply(
            "Equal", to: x, .number(isPositive ? .infinity : -.infinity), for: node)
    }

    /// `ArgMax` and `ArgMin`; of equal numbers the last is the first from the other end.
    private static func readArgExtreme(
        _ node: ONNXNode, in reader: inout ONNXReader, largest: Bool
    ) throws -> ONNXValue {
        var x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let axis = try node.axis(node.integer("axis", or: 0), rank: shape.rank)
        let takesLast = node.integer("select_last_index", or: 0) != 0
        if takesLast {
            x = try reader.emit(
                .slice(start: shape[axis] - 1, count: shape[axis], axis: axis, step: -1),
                for: node, reading: [x], suffix: ".reversed")
        }
        let op = Op.argExtreme(
            axis: axis, largest: largest, keepsAxis: node.integer("keepdims", or: 1) != 0)
        let index = try reader.emit(op, for: node, reading: [x])
        guard takesLast else { return .node(index) }
        return try reader.apply("Sub", to: .integer(shape[axis] - 1), .node(index), for: node)
    }
}

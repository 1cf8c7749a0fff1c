// Functions of numbers that ONNX has and a graph has not, in those that it has.

import GraftNetworks
import GraftTensors

/// Operators of one value, or of two, that are formulas.
enum ONNXFunctions {
    static let operators: [String: ONNXOperator] = [
        "Celu": .value(readCelu),
        "Div": .value(readDivision),
        "EyeLike": .value(readIdentityMatrix),
        "Hardmax": .value(readHardmax),
        "Mod": .value(readModulo),
        "OneHot": .value(readOneHot),
        "PRelu": .value(readPRelu),
        "Shrink": .value(readShrink),
        "Size": .value { node, reader in
            .integer(try reader.shape(of: try node.value(), for: node).count)
        },
        "Softsign": .value { node, reader in
            let size = try reader.apply("Abs", to: node.inputs[0], for: node)
            let sum = try reader.apply("Add", to: size, .number(1), for: node)
            return try reader.apply("Div", to: node.inputs[0], sum, for: node)
        },
        "SwiGLU": .value { node, reader in
            let gate = try swish(try node.value(), of: node, in: &reader)
            return try reader.apply("Mul", to: gate, try node.value(at: 1), for: node)
        },
        "Swish": .value { node, reader in try swish(try node.value(), of: node, in: &reader) },
        "ThresholdedRelu": .value { node, reader in
            let isAbove = try reader.apply(
                "Greater", to: node.inputs[0], .number(node.number("alpha", or: 1)), for: node)
            return try reader.apply("Where", to: isAbove, node.inputs[0], .number(0), for: node)
        },
        "Trilu": .value(readTriangle),
    ]

    /// x · sigmoid(α x).
    private static func swish(
        _ x: ONNXValue, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let alpha = node.number("alpha", or: 1)
        let scaled = alpha == 1 ? x : try reader.apply("Mul", to: x, .number(alpha), for: node)
        let gate = try reader.apply("Sigmoid", to: scaled, for: node)
        return try reader.apply("Mul", to: x, gate, for: node)
    }

    /// max(0, x) + min(0, α (exp(x / α) − 1)).
    private static func readCelu(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let alpha = ONNXValue.number(node.number("alpha", or: 1))
        let share = try reader.apply("Div", to: node.inputs[0], alpha, for: node)
        let curve = try reader.apply("Elu", to: share, for: node)
        return try reader.apply("Mul", to: curve, alpha, for: node)
    }

    /// Integers are divided toward zero.
    private static func readDivision(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let element = reader.element(of: try node.value())
        guard !element.isFloatingPoint else {
            return .node(try Op.Affine.readONNXDivision(node, in: &reader))
        }
        let share = try reader.emit(
            .binary(.divide), for: node, reading: try reader.operands(of: node, count: 2),
            suffix: ".share")
        let real = try reader.emit(.cast(.f32), for: node, reading: [share], suffix: ".real")
        return .node(try reader.emit(.cast(element), for: node, reading: [real]))
    }

    private static func readModulo(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let op = Op.binary(node.integer("fmod", or: 0) != 0 ? .remainder : .modulo)
        return .node(
            try reader.emit(op, for: node, reading: try reader.operands(of: node, count: 2)))
    }

    /// A matrix of the sizes of another with ones on a diagonal.
    private static func readIdentityMatrix(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard shape.rank == 2, shape.count <= ONNXConstants.maximumCount else {
            throw node.fail(.axes(shape))
        }
        try reader.spend(shape.count, on: node)
        let offset = node.integer("k", or: 0)
        var values = [Float](repeating: 0, count: shape.count)
        for row in 0..<shape[0] where 0..<shape[1] ~= row + offset {
            values[row * shape[1] + row + offset] = 1
        }
        return .numbers(values, shape: shape)
    }

    /// 1 at the first largest number of an axis and 0 elsewhere.
    private static func readHardmax(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        let axis = try node.axis(
            node.integer("axis", or: node.opset < 13 ? 1 : -1), rank: shape.rank)
        let isOld = node.opset < 13
        let rows = isOld ? [shape.dimensions[..<axis].reduce(1, *), -1] : shape.dimensions
        let flat = isOld ? try reader.reshape(x, to: rows, for: node) : x
        let place = isOld ? 1 : axis
        let size = try reader.shape(of: flat, for: node)[place]
        let largest = try reader.apply(
            "ArgMax", to: flat, with: ["axis": .integer(place), "keepdims": 0], for: node)
        let hot = try reader.apply(
            "OneHot", to: largest, .integer(size), .numbers([0, 1], shape: [2]),
            with: ["axis": .integer(place)], for: node)
        return isOld ? try reader.reshape(hot, to: shape.dimensions, for: node) : hot
    }

    /// One of two numbers, by whether a place is the index.
    private static func readOneHot(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let indices = try node.value()
        let shape = try reader.shape(of: indices, for: node)
        guard let depth = try node.tensor(at: 1)?.doubles.first.flatMap({ Int(exactly: $0) }),
            1...Window.maximumExtent ~= depth
        else { throw node.fail(.missing(.size)) }
        let axis = try node.axis(node.integer("axis", or: -1), rank: shape.rank + 1)
        var sizes = [Int](repeating: 1, count: shape.rank + 1)
        sizes[axis] = depth
        let places = ONNXValue.numbers((0..<depth).map(Float.init), shape: Shape(sizes))
        let real = try reader.apply("Cast", to: indices, with: ["to": 1], for: node)
        // A negative index counts from the end.
        let wrapped = try reader.apply(
            "Where",
            to: try reader.apply("Less", to: real, .number(0), for: node),
            try reader.apply("Add", to: real, .number(Float(depth)), for: node), real, for: node)
        let column = try reader.apply("Unsqueeze", to: wrapped, .integers([axis]), for: node)
        let isHot = try reader.apply("Equal", to: column, places, for: node)
        let values = try node.value(at: 2)
        let off = try reader.slice(values, axis: 0, from: 0, to: 1, for: node)
        let on = try reader.slice(values, axis: 0, from: 1, to: 2, for: node)
        return try reader.apply("Where", to: isHot, on, off, for: node)
    }

    /// x where x ≥ 0, `slope` x elsewhere; by channel as a layer of its own.
    private static func readPRelu(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try reader.operand(of: node)
        if case .constant(let slopes) = try node.value(at: 1) {
            let isByChannel =
                node.opset < 7 && slopes.shape == [reader.builder.channels(of: x)]
            if isByChannel || (try? reader.constants(slopes, for: x, of: node)) != nil {
                return .node(try Op.ChannelScale.readONNXPRelu(node, in: &reader))
            }
        }
        let scaled = try reader.apply("Mul", to: .node(x), node.inputs[1], for: node)
        let isBelow = try reader.apply("Less", to: .node(x), .number(0), for: node)
        return try reader.apply("Where", to: isBelow, scaled, .node(x), for: node)
    }

    /// x + bias below −λ, x − bias above λ, 0 between.
    private static func readShrink(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let (limit, bias) = (node.number("lambd", or: 0.5), node.number("bias", or: 0))
        let x = try node.value()
        let below = try reader.apply("Less", to: x, .number(-limit), for: node)
        let above = try reader.apply("Greater", to: x, .number(limit), for: node)
        let upper = try reader.apply(
            "Where", to: above, try reader.apply("Sub", to: x, .number(bias), for: node),
            .number(0), for: node)
        return try reader.apply(
            "Where", to: below, try reader.apply("Add", to: x, .number(bias), for: node), upper,
            for: node)
    }

    /// The upper or lower triangle of the last two axes, zeros elsewhere.
    private static func readTriangle(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard shape.rank >= 2 else { throw node.fail(.axes(shape)) }
        let offset = Int(clamping: Int64((try node.tensor(at: 1))?.doubles.first ?? 0))
        let isUpper = node.integer("upper", or: 1) != 0
        let (rows, columns) = (shape[shape.rank - 2], shape[shape.rank - 1])
        guard shape.count > 0, rows * columns <= ONNXConstants.maximumCount else {
            guard shape.count == 0 else {
                throw node.fail(.excess(.values, limit: ONNXConstants.maximumCount))
            }
            return x
        }
        try reader.spend(rows * columns, on: node)
        let mask = (0..<(rows * columns)).map { place in
            let (row, column) = (place / columns, place % columns)
            return isUpper ? column - row >= offset : column - row <= offset
        }
        return try reader.apply(
            "Where", to: .truths(mask, shape: [rows, columns]), x, .number(0), for: node)
    }
}

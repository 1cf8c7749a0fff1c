// Quantised operators as they are computed: integers, rounded, in values of a run.

import GraftNetworks
import GraftTensors

/// The rows of quantised operators where a file is run on tensors: every value is rounded to what its
/// integers say, so that answers are those of other programs.
enum ONNXExactQuantization {
    static let operators: [String: ONNXOperator] = [
        "ConvInteger": .value(readConvolution),
        "DequantizeLinear": .value { node, reader in
            try real(of: node, at: 0, axis: node.integer("axis", or: 1), in: &reader)
        },
        "DynamicQuantizeLinear": .values(readDynamic),
        "MatMulInteger": .value(readProduct),
        "QLinearConv": .value { node, reader in
            let x = try real(of: node, at: 0, axis: 1, in: &reader)
            let kernel = try real(of: node, at: 3, axis: 0, in: &reader)
            var inputs: [ONNXValue?] = [x, kernel]
            if node.inputs.count > 8, let bias = node.inputs[8] {
                let real = try reader.apply("Cast", to: bias, with: ["to": 1], for: node)
                let scale = try reader.apply("Mul", to: node.inputs[1], node.inputs[4], for: node)
                inputs.append(try reader.apply("Mul", to: real, scale, for: node))
            }
            var attributes = node.windowAttributes
            attributes.append(.integer(node.integer("group", or: 1)), named: "group")
            let y = try reader.applyAll("Conv", to: inputs, with: attributes, for: node)[0]
            return try integers(of: y, node, scaleAt: 6, in: &reader)
        },
        "QLinearMatMul": .value { node, reader in
            let a = try real(of: node, at: 0, axis: -2, in: &reader)
            let b = try real(of: node, at: 3, axis: -1, in: &reader)
            let y = try reader.apply("MatMul", to: a, b, for: node)
            return try integers(of: y, node, scaleAt: 6, in: &reader)
        },
        "QuantizeLinear": .value { node, reader in
            try integers(
                of: try node.value(), node, scaleAt: 1, axis: node.integer("axis", or: 1),
                in: &reader)
        },
        "com.microsoft.QLinearAdd": .value { try readPair($0, as: "Add", in: &$1) },
        "com.microsoft.QLinearMul": .value { try readPair($0, as: "Mul", in: &$1) },
        "com.microsoft.QLinearConcat": .value { node, reader in
            let parts = try stride(from: 2, to: node.inputs.count, by: 3).map {
                try real(of: node, at: $0, axis: 1, in: &reader)
            }
            let y = try reader.concatenate(parts, axis: node.integer("axis", or: 1), for: node)
            return try integers(of: y, node, scaleAt: 0, in: &reader)
        },
        "com.microsoft.QLinearSigmoid": .value { node, reader in
            let x = try real(of: node, at: 0, axis: 1, in: &reader)
            return try integers(
                of: try reader.apply("Sigmoid", to: x, for: node), node, scaleAt: 3, in: &reader)
        },
        "com.microsoft.QLinearLeakyRelu": .value { node, reader in
            let x = try real(of: node, at: 0, axis: 1, in: &reader)
            let y = try reader.apply(
                "LeakyRelu", to: x, with: ["alpha": .number(node.number("alpha", or: 0.01))],
                for: node)
            return try integers(of: y, node, scaleAt: 3, in: &reader)
        },
        "com.microsoft.QLinearGlobalAveragePool": .value { node, reader in
            guard node.integer("channels_last", or: 0) == 0 else { throw node.fail(.axis) }
            let x = try real(of: node, at: 0, axis: 1, in: &reader)
            let y = try reader.apply("GlobalAveragePool", to: x, for: node)
            return try integers(of: y, node, scaleAt: 3, in: &reader)
        },
        "com.microsoft.QLinearAveragePool": .value { node, reader in
            guard node.integer("channels_last", or: 0) == 0 else { throw node.fail(.axis) }
            let x = try real(of: node, at: 0, axis: 1, in: &reader)
            var attributes = node.windowAttributes
            attributes.append(
                .integer(node.integer("count_include_pad", or: 0)), named: "count_include_pad")
            attributes.append(.integer(node.integer("ceil_mode", or: 0)), named: "ceil_mode")
            let y = try reader.apply("AveragePool", to: x, with: attributes, for: node)
            return try integers(of: y, node, scaleAt: 3, in: &reader)
        },
        "com.microsoft.QGemm": .value { node, reader in
            let a = try real(of: node, at: 0, axis: 1, in: &reader)
            let isTransposed = node.integer("transB", or: 0) != 0
            let b = try real(of: node, at: 3, axis: isTransposed ? 0 : 1, in: &reader)
            var inputs: [ONNXValue?] = [a, b]
            if node.inputs.count > 6, let bias = node.inputs[6] {
                let real = try reader.apply("Cast", to: bias, with: ["to": 1], for: node)
                let scale = try reader.apply("Mul", to: node.inputs[1], node.inputs[4], for: node)
                let alpha = try reader.apply(
                    "Mul", to: scale, .number(node.number("alpha", or: 1)), for: node)
                inputs.append(try reader.apply("Mul", to: real, alpha, for: node))
            }
            let attributes: ONNXGraph.Attributes = [
                "transA": .integer(node.integer("transA", or: 0)),
                "transB": .integer(isTransposed ? 1 : 0),
                "alpha": .number(node.number("alpha", or: 1)),
            ]
            let y = try reader.applyAll("Gemm", to: inputs, with: attributes, for: node)[0]
            guard node.inputs.count > 7, node.inputs[7] != nil else { return y }
            return try integers(of: y, node, scaleAt: 7, in: &reader)
        },
    ]

    /// A list along an axis as it meets a value, or a block of it repeated.
    private static func line(
        _ list: ONNXValue, along axis: Int, of shape: Shape, _ node: ONNXNode,
        in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let own = try reader.shape(of: list, for: node)
        if own.count == 1 { return try reader.reshape(list, to: [1], for: node) }
        let place = try node.axis(axis, rank: shape.rank)
        let block = node.integer("block_size", or: 0)
        if block > 0, own.rank == shape.rank {
            var (sizes, wide) = (own.dimensions, own.dimensions)
            sizes.insert(1, at: place + 1)
            wide.insert(block, at: place + 1)
            let apart = try reader.apply(
                "Expand", to: try reader.reshape(list, to: sizes, for: node), .integers(wide),
                for: node)
            var joined = own.dimensions
            joined[place] *= block
            let all = try reader.reshape(apart, to: joined, for: node)
            return try reader.slice(all, axis: place, from: 0, to: shape[place], for: node)
        }
        guard own.rank == 1 else { return list }
        return try reader.reshape(
            list, to: shape.dimensions.indices.map { $0 == place ? own[0] : 1 }, for: node)
    }

    /// The numbers that integers stand for; scale and zero point follow the value.
    private static func real(
        of node: ONNXNode, at index: Int, axis: Int, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value(at: index)
        let shape = try reader.shape(of: x, for: node)
        var value = try reader.apply("Cast", to: x, with: ["to": 1], for: node)
        if node.inputs.count > index + 2, let zero = node.inputs[index + 2] {
            let real = try reader.apply("Cast", to: zero, with: ["to": 1], for: node)
            value = try reader.apply(
                "Sub", to: value, try line(real, along: axis, of: shape, node, in: &reader),
                for: node)
        }
        let scale = try line(
            try node.value(at: index + 1), along: axis, of: shape, node, in: &reader)
        return try reader.apply("Mul", to: value, scale, for: node)
    }

    /// The integers for numbers, by the scale at an input and the zero point after it.
    private static func integers(
        of value: ONNXValue, _ node: ONNXNode, scaleAt index: Int, axis: Int = 1,
        in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let shape = try reader.shape(of: value, for: node)
        let zero = node.inputs.count > index + 1 ? node.inputs[index + 1] : nil
        let named = node.integer("output_dtype", or: 0)
        let element = zero.map { reader.element(of: $0) } ?? DType(onnxType: named) ?? .u8
        let bounds: (Float, Float)
        switch element {
        case .u8: bounds = (0, 255)
        case .i8: bounds = (-128, 127)
        case .u16: bounds = (0, 65535)
        case .i16: bounds = (-32768, 32767)
        default: throw node.fail(.type(element))
        }
        let scale = try line(try node.value(at: index), along: axis, of: shape, node, in: &reader)
        var result = try reader.apply(
            "Round", to: try reader.apply("Div", to: value, scale, for: node), for: node)
        if let zero {
            let real = try reader.apply("Cast", to: zero, with: ["to": 1], for: node)
            result = try reader.apply(
                "Add", to: result, try line(real, along: axis, of: shape, node, in: &reader),
                for: node)
        }
        result = try reader.apply(
            "Min", to: try reader.apply("Max", to: result, .number(bounds.0), for: node),
            .number(bounds.1), for: node)
        let types: [DType: Int] = [.u8: 2, .i8: 3, .u16: 4, .i16: 5]
        return try reader.apply(
            "Cast", to: result, with: ["to": .integer(types[element] ?? 2)], for: node)
    }

    private static func readPair(
        _ node: ONNXNode, as type: String, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let a = try real(of: node, at: 0, axis: 1, in: &reader)
        let b = try real(of: node, at: 3, axis: 1, in: &reader)
        let y = try reader.apply(type, to: a, b, for: node)
        return try integers(of: y, node, scaleAt: 6, in: &reader)
    }

    /// Integers without their zero point, as floats.
    private static func centred(
        _ input: Int, zeroAt index: Int, axis: Int, _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value(at: input)
        let value = try reader.apply("Cast", to: x, with: ["to": 1], for: node)
        guard node.inputs.count > index, let zero = node.inputs[index] else { return value }
        let shape = try reader.shape(of: x, for: node)
        let real = try reader.apply("Cast", to: zero, with: ["to": 1], for: node)
        return try reader.apply(
            "Sub", to: value, try line(real, along: axis, of: shape, node, in: &reader), for: node)
    }

    private static func readProduct(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let a = try centred(0, zeroAt: 2, axis: -2, node, in: &reader)
        let b = try centred(1, zeroAt: 3, axis: -1, node, in: &reader)
        let y = try reader.apply("MatMul", to: a, b, for: node)
        return try reader.apply("Cast", to: y, with: ["to": 6], for: node)
    }

    private static func readConvolution(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try centred(0, zeroAt: 2, axis: 1, node, in: &reader)
        let kernel = try centred(1, zeroAt: 3, axis: 0, node, in: &reader)
        var attributes = node.windowAttributes
        attributes.append(.integer(node.integer("group", or: 1)), named: "group")
        let y = try reader.apply("Conv", to: x, kernel, with: attributes, for: node)
        return try reader.apply("Cast", to: y, with: ["to": 6], for: node)
    }

    /// `DynamicQuantizeLinear`: integers of a scale that the values have.
    private static func readDynamic(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try node.value()
        let axes = ONNXGraph.Attributes(dictionaryLiteral: ("keepdims", 0))
        let highest = try reader.apply(
            "Max", to: try reader.apply("ReduceMax", to: x, with: axes, for: node), .number(0),
            for: node)
        let lowest = try reader.apply(
            "Min", to: try reader.apply("ReduceMin", to: x, with: axes, for: node), .number(0),
            for: node)
        let span = try reader.apply("Sub", to: highest, lowest, for: node)
        let scale = try reader.apply("Div", to: span, .number(255), for: node)
        let start = try reader.apply(
            "Neg", to: try reader.apply("Div", to: lowest, scale, for: node), for: node)
        let zero = try reader.apply("Round", to: start, for: node)
        let share = try reader.apply(
            "Round", to: try reader.apply("Div", to: x, scale, for: node), for: node)
        let moved = try reader.apply("Add", to: share, zero, for: node)
        let cut = try reader.apply(
            "Min", to: try reader.apply("Max", to: moved, .number(0), for: node), .number(255),
            for: node)
        return [
            try reader.apply("Cast", to: cut, with: ["to": 2], for: node),
            try reader.reshape(scale, to: [], for: node),
            try reader.apply(
                "Cast", to: try reader.reshape(zero, to: [], for: node), with: ["to": 2], for: node),
        ]
    }
}

extension ONNXNode {
    /// The attributes of its window as they are.
    fileprivate var windowAttributes: ONNXGraph.Attributes {
        var attributes: ONNXGraph.Attributes = [:]
        for name in ["kernel_shape", "strides", "dilations", "pads"] {
            if let list = integers(name) { attributes.append(.integers(list), named: name) }
        }
        if let mode = text("auto_pad") { attributes.append(.text(mode), named: "auto_pad") }
        return attributes
    }
}

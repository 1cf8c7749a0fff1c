// ONNX operators that compute with integers, read as the floating-point operations that they stand for.

import GraftNetworks
import GraftTensors

extension ONNXQuantization {
    /// The operators of ai.onnx, and those that onnxruntime adds (`com.microsoft`).
    static let operators: [String: ONNXOperator] = [
        "ConvInteger": .node(readIntegerConvolution),
        // Each image has its own scale: what is computed is the same as without.
        "DynamicQuantizeLinear": .values { node, reader in
            [
                .node(try reader.operand(of: node)), .constant(Tensor([1], shape: [])),
                .constant(Tensor([0], shape: [])),
            ]
        },
        "MatMulInteger": .node(readIntegerProduct),
        "QLinearConv": .node(readConvolution),
        "QLinearMatMul": .node(readProduct),
        "com.microsoft.QGemm": .node(readGemm),
        "com.microsoft.QLinearAdd": .node { try readSum($0, in: &$1, as: .add) },
        "com.microsoft.QLinearAveragePool": .node(readAveragePool),
        "com.microsoft.QLinearConcat": .node(readConcatenation),
        "com.microsoft.QLinearGlobalAveragePool": .node(readGlobalAveragePool),
        "com.microsoft.QLinearLeakyRelu": .node(readLeakyRelu),
        "com.microsoft.QLinearMul": .node { try readSum($0, in: &$1, as: .multiply) },
        "com.microsoft.QLinearSigmoid": .node { try readUnary($0, in: &$1, as: .sigmoid) },
    ]

    /// Clips a value to what the integers of the scale at input `index` can hold.
    private static func result(
        _ value: Int, of node: ONNXNode, scaleAt index: Int, in reader: inout ONNXReader
    ) throws -> Int {
        try ONNXQuantization(node, scaleAt: index).clipped(
            value, name: reader.name(of: node, suffix: ".clipped"), in: &reader)
    }

    /// The bias of a product, whose integers are in units of both scales.
    private static func scaledBias(
        of node: ONNXNode, at index: Int, value: ONNXQuantization, weight: ONNXQuantization
    ) throws -> [ONNXWeight] {
        guard let bias = try node.weight(at: index) else { return [] }
        let integers = bias.tensor.converted(to: .f32).floats
        let numbers = try integers.enumerated().map { channel, integer in
            integer * value.first.scale * (try weight.scale(of: channel, among: integers.count))
        }
        return [ONNXWeight(name: bias.name, tensor: Tensor(numbers, shape: bias.tensor.shape))]
    }

    private static func readConvolution(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let value = try ONNXQuantization(node, scaleAt: 1)
        let quantized = try ONNXQuantization(node, scaleAt: 4, axis: 0)
        let x = try value.real(at: 0, in: &reader)
        guard let kernel = try node.weight(at: 3), kernel.tensor.shape.rank == 4 else {
            throw node.fail(.kernel)
        }
        let shape = kernel.tensor.shape
        let bias = try scaledBias(of: node, at: 8, value: value, weight: quantized)
        let op = Op.conv2d(
            outputs: shape[0],
            window: try Window(node, kernel: Array(shape.dimensions[2...]), over: x, in: reader),
            groups: node.integer("group", or: 1), bias: !bias.isEmpty)
        let numbers = ONNXWeight(
            name: kernel.name, tensor: try quantized.dequantized(kernel.tensor))
        let y = try reader.emit(op, for: node, reading: [x], weights: [numbers] + bias)
        return try result(y, of: node, scaleAt: 6, in: &reader)
    }

    private static func readProduct(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let y = try product(node, isTransposed: false, biasAt: nil, in: &reader)
        return try result(y, of: node, scaleAt: 6, in: &reader)
    }

    private static func readGemm(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard node.integer("transA", or: 0) == 0, node.number("alpha", or: 1) == 1 else {
            throw node.fail(.kernel)
        }
        let isTransposed = node.integer("transB", or: 0) != 0
        let y = try product(node, isTransposed: isTransposed, biasAt: 6, in: &reader)
        // Without a scale for its result it gives floating-point numbers.
        guard node.inputs.count > 7, node.inputs[7] != nil else { return y }
        return try result(y, of: node, scaleAt: 7, in: &reader)
    }

    /// Vectors times a matrix that is known.
    private static func product(
        _ node: ONNXNode, isTransposed: Bool, biasAt index: Int?, in reader: inout ONNXReader
    ) throws -> Int {
        let value = try ONNXQuantization(node, scaleAt: 1)
        let quantized = try ONNXQuantization(node, scaleAt: 4, axis: isTransposed ? 0 : 1)
        let x = try value.real(at: 0, in: &reader)
        guard let matrix = try node.weight(at: 3), matrix.tensor.shape.rank == 2 else {
            throw node.fail(.kernel)
        }
        let numbers = try quantized.dequantized(matrix.tensor)
        let ordered = isTransposed ? numbers : numbers.permuted([1, 0])
        let bias = try index.map {
            try scaledBias(of: node, at: $0, value: value, weight: quantized)
        }
        return try reader.emit(
            .linear(outputs: ordered.shape[0], bias: bias?.isEmpty == false), for: node,
            reading: [x],
            weights: [ONNXWeight(name: matrix.name, tensor: ordered)] + (bias ?? []))
    }

    /// `QLinearAdd` and `QLinearMul` of two values.
    private static func readSum(
        _ node: ONNXNode, in reader: inout ONNXReader, as op: Op
    ) throws -> Int {
        let a = try ONNXQuantization(node, scaleAt: 1).real(at: 0, in: &reader)
        let b = try ONNXQuantization(node, scaleAt: 4).real(at: 3, in: &reader)
        let y = try reader.emit(op, for: node, reading: [a, b])
        return try result(y, of: node, scaleAt: 6, in: &reader)
    }

    private static func readConcatenation(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let parts = try stride(from: 2, to: node.inputs.count, by: 3).map {
            try ONNXQuantization(node, scaleAt: $0 + 1).real(at: $0, in: &reader)
        }
        guard let first = parts.first,
            [1, 1 - reader.builder.shapes[first].rank].contains(node.integer("axis", or: 1))
        else { throw node.fail(.axis) }
        let y = parts.count == 1 ? first : try reader.emit(.concatenate, for: node, reading: parts)
        return try result(y, of: node, scaleAt: 0, in: &reader)
    }

    private static func readGlobalAveragePool(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        guard node.integer("channels_last", or: 0) == 0 else { throw node.fail(.axis) }
        return try readUnary(node, in: &reader, op: .globalAveragePool(keepsDimensions: true))
    }

    private static func readAveragePool(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        guard node.integer("channels_last", or: 0) == 0 else { throw node.fail(.axis) }
        let x = try ONNXQuantization(node, scaleAt: 1).real(at: 0, in: &reader)
        let window = try Window(
            node, kernel: node.integers("kernel_shape") ?? [], over: x, in: reader)
        let counts = node.integer("count_include_pad", or: 0) == 1
        return try readUnary(node, in: &reader, op: .averagePool(window, countsPadding: counts))
    }

    private static func readLeakyRelu(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try ONNXQuantization(node, scaleAt: 1).real(at: 0, in: &reader)
        let name = reader.name(of: node)
        let y = try reader.builder.leaky(x, slope: node.number("alpha", or: 0.01), name: name)
        return try result(y, of: node, scaleAt: 3, in: &reader)
    }

    private static func readUnary(
        _ node: ONNXNode, in reader: inout ONNXReader, as function: Activation
    ) throws -> Int {
        try readUnary(node, in: &reader, op: .activation(function))
    }

    /// An operation of one value: its scale is input 1, that of the result input 3.
    private static func readUnary(
        _ node: ONNXNode, in reader: inout ONNXReader, op: Op
    ) throws -> Int {
        let x = try ONNXQuantization(node, scaleAt: 1).real(at: 0, in: &reader)
        let y = try reader.emit(op, for: node, reading: [x])
        return try result(y, of: node, scaleAt: 3, in: &reader)
    }

    // MARK: Integers as they are

    /// The integers of input 0 less the zero point at input 2: floating-point numbers.
    private static func difference(
        of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try reader.operand(of: node)
        guard reader.steps[x] == nil else { throw node.fail(.otherStep) }
        let zero = try node.tensor(at: 2)?.converted(to: .f32).floats ?? [0]
        guard zero.count == 1 else { throw node.fail(.valueByChannel) }
        guard zero[0] != 0 else { return x }
        return try reader.emit(
            .affine(scale: [1], shift: [-zero[0]]), for: node, reading: [x], suffix: ".input")
    }

    /// The integers of the weights at input 1 less their zero points at input 3, by `axis`.
    private static func weight(of node: ONNXNode, rank: Int, axis: Int) throws -> ONNXWeight {
        guard let weight = try node.weight(at: 1), weight.tensor.shape.rank == rank else {
            throw node.fail(.kernel)
        }
        let shape = weight.tensor.shape
        let zeros = try node.tensor(at: 3)?.converted(to: .f32).floats ?? [0]
        guard zeros.count == 1 || zeros.count == shape[axis] else {
            throw node.fail(.unfit(count: zeros.count, shape))
        }
        let inner = shape.dimensions[(axis + 1)...].reduce(1, *)
        let values = weight.tensor.converted(to: .f32).floats.enumerated().map { index, value in
            value - zeros[index / max(inner, 1) % zeros.count]
        }
        return ONNXWeight(name: weight.name, tensor: Tensor(values, shape: shape))
    }

    private static func readIntegerConvolution(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try difference(of: node, in: &reader)
        let kernel = try weight(of: node, rank: 4, axis: 0)
        let shape = kernel.tensor.shape
        let op = Op.conv2d(
            outputs: shape[0],
            window: try Window(node, kernel: Array(shape.dimensions[2...]), over: x, in: reader),
            groups: node.integer("group", or: 1), bias: false)
        return try reader.emit(op, for: node, reading: [x], weights: [kernel])
    }

    private static func readIntegerProduct(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try difference(of: node, in: &reader)
        let matrix = try weight(of: node, rank: 2, axis: 1)
        let ordered = ONNXWeight(name: matrix.name, tensor: matrix.tensor.permuted([1, 0]))
        return try reader.emit(
            .linear(outputs: ordered.tensor.shape[0], bias: false), for: node, reading: [x],
            weights: [ordered])
    }
}

// Operators on values without elements: there is nothing to compute, but their results have shapes.

import GraftNetworks
import GraftTensors

/// The results of nodes that read empty values, which a graph does not have.
///
/// Detectors that find nothing end in these: boxes (0, 4), crops (0, C, 7, 7), scores of none of them.
enum ONNXEmpty {
    /// The values of a node with an empty input; nil if it is an operator without a rule here.
    static func evaluate(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue]? {
        guard reader.feed != nil, node.inputs.contains(where: isEmpty), let first = node.inputs[0]
        else { return nil }
        var shapes: [Shape] = []
        for input in node.inputs {
            shapes.append(try input.map { try reader.shape(of: $0, for: node) } ?? [])
        }
        let x = shapes[0]
        let element = reader.element(of: first)
        func empty(_ dimensions: [Int], as type: DType? = nil) throws -> [ONNXValue]? {
            let shape = Shape(dimensions)
            guard shape.checkedCount == 0 else { return nil }
            return [.constant(Tensor(type ?? element, shape, storage: Storage([UInt8]())))]
        }
        switch node.type {
        case let type where elementwise.contains(type) || comparisons.contains(type):
            var shape = x
            for other in shapes.dropFirst() {
                guard let next = shape.broadcast(with: other) else {
                    throw node.fail(.unfit(.values, [other, shape]))
                }
                shape = next
            }
            return try empty(shape.dimensions, as: comparisons.contains(type) ? .bool : nil)
        case "CastLike":
            return try empty(x.dimensions, as: reader.element(of: try node.value(at: 1)))
        case "Concat":
            let parts = node.inputs.filter { !isEmpty($0) }
            guard !parts.isEmpty else { return nil }
            return try reader.applyAll(
                "Concat", to: parts, with: ["axis": .integer(node.integer("axis", or: 1))],
                for: node)
        case "Cast": return try empty(x.dimensions, as: DType(onnxType: node.integer("to", or: 1)))
        case "BatchNormalization", "Clip", "Dropout", "InstanceNormalization", "LayerNormalization",
            "LogSoftmax", "Softmax":
            return try empty(x.dimensions)
        case "Where":
            guard let both = shapes[1].broadcast(with: shapes[2]),
                let shape = x.broadcast(with: both), let value = node.inputs[1]
            else { throw node.fail(.unfit(.values, shapes)) }
            return try empty(shape.dimensions, as: reader.element(of: value))
        case "Flatten":
            let axis = try node.axis(node.integer("axis", or: 1), rank: x.rank + 1)
            return try empty([
                x.dimensions[..<axis].reduce(1, *), x.dimensions[axis...].reduce(1, *),
            ])
        case "Gather":
            let axis = try node.axis(node.integer("axis", or: 0), rank: x.rank)
            return try empty(
                x.dimensions[..<axis] + shapes[1].dimensions + x.dimensions[(axis + 1)...])
        case "GatherElements": return try empty(shapes[1].dimensions)
        case "GatherND":
            guard let depth = shapes[1].dimensions.last else { return nil }
            let skipped = depth + node.integer("batch_dims", or: 0)
            guard skipped <= x.rank else { return nil }
            return try empty(shapes[1].dimensions.dropLast() + x.dimensions[skipped...])
        case "ScatterElements", "ScatterND", "Scatter":
            // No updates, or nothing to update.
            return [first]
        case "MatMul", "Gemm":
            let isTurned = node.integer("transB", or: 0) != 0
            guard x.rank >= 2, shapes[1].rank >= 2, node.integer("transA", or: 0) == 0 else {
                return nil
            }
            let columns = shapes[1][shapes[1].rank - (isTurned ? 2 : 1)]
            return try empty(x.dimensions.dropLast() + [columns])
        case "Conv": return try empty(try convolved(node, over: x, by: shapes[1]))
        case "ConvTranspose":
            guard x.rank >= 3, shapes[1].rank == x.rank else { return nil }
            let plan = try Transposed(
                node, kernel: Array(shapes[1].dimensions[2...]), over: Array(x.dimensions[2...]))
            return try empty(
                [x[0], shapes[1][1] * node.integer("group", or: 1)]
                    + plan.sizes(over: Array(x.dimensions[2...])))
        case "RoiAlign":
            return try empty([
                shapes[1][0], x[1], node.integer("output_height", or: 1),
                node.integer("output_width", or: 1),
            ])
        case "Split":
            let axis = try node.axis(node.integer("axis", or: 0), rank: x.rank)
            let sizes = try node.parts(of: x[axis])
            return try sizes.map { size in
                var part = x.dimensions
                part[axis] = size
                guard let value = try empty(part)?.first else {
                    throw node.fail(.unfit(.parts, [x]))
                }
                return value
            }
        case let type where type.hasPrefix("Reduce") && x.count == 0:
            return try reduced(node, over: x, element: element)
        default: return nil
        }
    }

    static func isEmpty(_ value: ONNXValue?) -> Bool {
        if case .constant(let tensor)? = value { tensor.count == 0 } else { false }
    }

    private static let elementwise: Set<String> = [
        "Abs", "Add", "And", "Ceil", "Div", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow",
        "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Sub", "Sum", "Tanh", "Xor",
    ]
    private static let comparisons: Set<String> = [
        "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    ]

    /// The sizes of a convolution's result.
    private static func convolved(_ node: ONNXNode, over x: Shape, by kernel: Shape) throws -> [Int]
    {
        guard x.rank >= 3, kernel.rank == x.rank else {
            throw node.fail(.unfit(.kernel, [kernel, x]))
        }
        let sizes = Array(x.dimensions[2...])
        let windows = try ONNXWindows(node, kernel: Array(kernel.dimensions[2...]), over: sizes)
        return [x[0], kernel[0]] + (try windows.counts(over: sizes, roundsUp: false, node: node))
    }

    /// The result of a reduction over no elements: the neutral element of its function.
    private static func reduced(
        _ node: ONNXNode, over x: Shape, element: DType
    ) throws -> [ONNXValue]? {
        let named = try node.integers("axes", orAt: 1) ?? []
        if named.isEmpty, node.integer("noop_with_empty_axes", or: 0) != 0 {
            return [node.inputs[0]].compactMap(\.self)
        }
        let axes = Set(
            try (named.isEmpty ? Array(0..<x.rank) : named).map { try node.axis($0, rank: x.rank) })
        let keeps = node.integer("keepdims", or: 1) != 0
        let sizes = x.dimensions.indices.compactMap { axis in
            axes.contains(axis) ? (keeps ? 1 : nil) : x[axis]
        }
        let neutral: Double
        switch node.type {
        case "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare": neutral = 0
        case "ReduceProd": neutral = 1
        case "ReduceMax", "ReduceLogSum", "ReduceLogSumExp":
            neutral = element.isFloatingPoint ? -.infinity : 0
        case "ReduceMin": neutral = element.isFloatingPoint ? .infinity : 1
        default: throw node.fail(.beyond(.emptyMean))
        }
        guard
            element.isFloatingPoint || element == .bool || neutral == 0 && node.type != "ReduceMax"
        else { throw node.fail(.beyond(.emptyIntegers)) }
        let shape = Shape(sizes)
        let values = [Double](repeating: neutral, count: shape.count)
        return [
            .constant(
                ONNXConstants.tensor(values, shape: shape, isInteger: !element.isFloatingPoint))
        ]
    }
}

extension ONNXNode {
    /// The sizes of the parts that `Split` makes of an axis: equal ones, the last smaller if need be.
    func parts(of size: Int) throws -> [Int] {
        guard outputCount > 0 else { throw fail(.missing(.output)) }
        let usual = (size + outputCount - 1) / outputCount
        let sizes =
            try integers("split", orAt: 1)
            ?? (0..<outputCount).map { max(0, min(usual, size - $0 * usual)) }
        guard sizes.count == outputCount, sizes.allSatisfy({ (0...size).contains($0) }),
            sizes.reduce(0, +) == size
        else { throw fail(.unfit(.parts, [Shape(sizes), [size]])) }
        return sizes
    }
}

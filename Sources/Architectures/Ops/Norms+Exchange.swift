// Normalisations of ONNX that are formulas of others.

import GraftNetworks
import GraftTensors

/// Normalisations, and what training asks of them.
enum ONNXNorms {
    static let operators: [String: ONNXOperator] = [
        "BatchNormalization": .values(readBatch),
        "GlobalAveragePool": .value { try readGlobal($0, in: &$1, as: "ReduceMean") },
        "GlobalLpPool": .value(Op.PoolAxes.readONNXGlobalNorm),
        "GlobalMaxPool": .value { try readGlobal($0, in: &$1, as: "ReduceMax") },
        "LayerNormalization": ONNXOperator(followsAxes: true, read: readLayer),
        "LpNormalization": .value(readLength),
        "MeanVarianceNormalization": .value { node, reader in
            let axes = node.integers("axes") ?? [0, 2, 3]
            let x = try node.value()
            let mean = try reader.apply("ReduceMean", to: x, .integers(axes), for: node)
            let centred = try reader.apply("Sub", to: x, mean, for: node)
            let squares = try reader.apply("Mul", to: centred, centred, for: node)
            let variance = try reader.apply("ReduceMean", to: squares, .integers(axes), for: node)
            let deviation = try reader.apply(
                "Add", to: try reader.apply("Sqrt", to: variance, for: node), .number(1e-9),
                for: node)
            return try reader.apply("Div", to: centred, deviation, for: node)
        },
        "RMSNormalization": .value { try readRootMeanSquare($0, in: &$1, scale: $0.inputs[1]) },
        "SimplifiedLayerNormalization": .value {
            try readRootMeanSquare($0, in: &$1, scale: $0.inputs[1])
        },
    ]

    /// Statistics of the file, or with `training_mode` those of the values themselves.
    private static func readBatch(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard node.integer("training_mode", or: 0) != 0 else {
            guard shape.rank == 2 || shape.rank == 4 else {
                // Of another rank, the axes after the channels are one.
                guard shape.rank > 2 else { throw node.fail(.axes(shape)) }
                let flat = try reader.reshape(x, to: [shape[0], shape[1], -1, 1], for: node)
                let y = try reader.applyAll(
                    node.type, to: [flat] + node.inputs[1...],
                    with: ["epsilon": .number(node.number("epsilon", or: 1e-5))], for: node)[0]
                return [try reader.reshape(y, to: shape.dimensions, for: node)]
            }
            return [.node(try Op.BatchNorm.readONNX(node, in: &reader))]
        }
        let axes = shape.dimensions.indices.filter { $0 != 1 }
        let line = shape.dimensions.indices.map { $0 == 1 ? shape[1] : 1 }
        let mean = try reader.apply("ReduceMean", to: x, .integers(axes), for: node)
        let centred = try reader.apply("Sub", to: x, mean, for: node)
        let variance = try reader.apply(
            "ReduceMean", to: try reader.apply("Mul", to: centred, centred, for: node),
            .integers(axes), for: node)
        let raised = try reader.apply(
            "Add", to: variance, .number(node.number("epsilon", or: 1e-5)), for: node)
        let normal = try reader.apply(
            "Div", to: centred, try reader.apply("Sqrt", to: raised, for: node), for: node)
        let scale = try reader.reshape(try node.value(at: 1), to: line, for: node)
        let shift = try reader.reshape(try node.value(at: 2), to: line, for: node)
        let y = try reader.apply(
            "Add", to: try reader.apply("Mul", to: normal, scale, for: node), shift, for: node)
        let momentum = node.number("momentum", or: 0.9)
        func moved(_ input: Int, by value: ONNXValue, _ reader: inout ONNXReader) throws
            -> ONNXValue
        {
            let own = try reader.reshape(value, to: [shape[1]], for: node)
            return try reader.apply(
                "Add",
                to: try reader.apply("Mul", to: node.inputs[input], .number(momentum), for: node),
                try reader.apply("Mul", to: own, .number(1 - momentum), for: node), for: node)
        }
        return [y, try moved(3, by: mean, &reader), try moved(4, by: variance, &reader)]
    }

    /// A reduction over all axes after the channels.
    private static func readGlobal(
        _ node: ONNXNode, in reader: inout ONNXReader, as reduction: String
    ) throws -> ONNXValue {
        let x = try reader.operand(of: node)
        let rank = reader.shape(of: x).rank
        guard rank != 4 else {
            return .node(
                try reader.emit(
                    reduction == "ReduceMean"
                        ? .globalAveragePool(keepsDimensions: true)
                        : .globalMaxPool(keepsDimensions: true), for: node, reading: [x]))
        }
        guard rank > 2 else { throw node.fail(.axes(reader.shape(of: x))) }
        return try reader.apply(reduction, to: .node(x), .integers(Array(2..<rank)), for: node)
    }

    /// Layer normalisation with weights of the sizes of the axes; of others, or where the mean is asked for,
    /// by its formula.
    private static func readLayer(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try node.value()
        if case .channelsLast = x { return [try Op.LayerNorm.readONNX(node, in: &reader)] }
        let shape = try reader.shape(of: x, for: node)
        let axis = try node.axis(node.integer("axis", or: -1), rank: shape.rank)
        let known = try node.inputs.indices.dropFirst().allSatisfy { index in
            guard node.inputs[index] != nil else { return true }
            guard case .constant(let tensor) = try node.value(at: index) else { return false }
            return tensor.shape == Shape(Array(shape.dimensions[axis...]))
        }
        guard !known || node.outputCount > 1 else {
            return [try Op.LayerNorm.readONNX(node, in: &reader)]
        }
        let axes = ONNXValue.integers(Array(axis..<shape.rank))
        let mean = try reader.apply("ReduceMean", to: x, axes, for: node)
        let centred = try reader.apply("Sub", to: x, mean, for: node)
        let variance = try reader.apply(
            "ReduceMean", to: try reader.apply("Mul", to: centred, centred, for: node), axes,
            for: node)
        let inverse = try reader.apply(
            "Reciprocal",
            to: try reader.apply(
                "Sqrt",
                to: try reader.apply(
                    "Add", to: variance, .number(node.number("epsilon", or: 1e-5)), for: node),
                for: node), for: node)
        var y = try reader.apply("Mul", to: centred, inverse, for: node)
        if node.inputs.count > 1, let scale = node.inputs[1] {
            y = try reader.apply("Mul", to: y, scale, for: node)
        }
        if node.inputs.count > 2, let shift = node.inputs[2] {
            y = try reader.apply("Add", to: y, shift, for: node)
        }
        return [y, mean, inverse]
    }

    /// x / √(mean x² + ε) · scale.
    private static func readRootMeanSquare(
        _ node: ONNXNode, in reader: inout ONNXReader, scale: ONNXValue?
    ) throws -> ONNXValue {
        let x = try node.value()
        let rank = try reader.shape(of: x, for: node).rank
        let axis = try node.axis(node.integer("axis", or: -1), rank: rank)
        let squares = try reader.apply("Mul", to: x, x, for: node)
        let mean = try reader.apply(
            "ReduceMean", to: squares, .integers(Array(axis..<rank)), for: node)
        let raised = try reader.apply(
            "Add", to: mean, .number(node.number("epsilon", or: 1e-5)), for: node)
        let normal = try reader.apply(
            "Div", to: x, try reader.apply("Sqrt", to: raised, for: node), for: node)
        return try reader.apply("Mul", to: normal, scale, for: node)
    }

    /// `LpNormalization`: vectors of length 1 along an axis, zeros where there is no length.
    private static func readLength(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let power = node.integer("p", or: 2)
        let axis = try node.axis(node.integer("axis", or: -1), rank: shape.rank)
        if power == 2, axis == 1, shape.rank == 2 || shape.rank == 4 {
            return .node(try Op.UnitNorm.readONNX(node, in: &reader))
        }
        guard power == 1 || power == 2 else { throw node.fail(.beyond(.otherNorm)) }
        let length = try reader.apply(
            power == 1 ? "ReduceL1" : "ReduceL2", to: .node(x), .integers([axis]), for: node)
        let isZero = try reader.apply("Equal", to: length, .number(0), for: node)
        let safe = try reader.apply("Where", to: isZero, .number(1), length, for: node)
        return try reader.apply("Div", to: .node(x), safe, for: node)
    }
}

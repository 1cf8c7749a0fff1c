// Crops, pads and orders of ONNX that are those of a graph.

import GraftNetworks
import GraftTensors

/// Operators that only move elements.
enum ONNXMovements {
    static let operators: [String: ONNXOperator] = [
        "CenterCropPad": .value(readCentre), "ReverseSequence": .value(readReversed),
    ]

    /// The middle of a value, or zeros around it.
    private static func readCentre(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        let axes =
            try node.integers("axes")?.map { try node.axis($0, rank: shape.rank) }
            ?? Array(0..<shape.rank)
        guard let sizes = try node.integers(at: 1), sizes.count == axes.count,
            sizes.allSatisfy({ 1...Window.maximumExtent ~= $0 }),
            shape.dimensions.allSatisfy({ $0 <= Window.maximumExtent })
        else { throw node.fail(.unfit(.sizes, [shape])) }
        var (before, after) = (shape.dimensions.map { _ in 0 }, shape.dimensions.map { _ in 0 })
        for (axis, size) in zip(axes, sizes) {
            let more = size - shape[axis]
            // The odd element is at the end of a pad, and is kept at the beginning of a crop.
            before[axis] = more >= 0 ? more / 2 : -(-more / 2)
            after[axis] = more - before[axis]
        }
        return try reader.apply("Pad", to: x, .integers(before + after), for: node)
    }

    /// The first elements of each sample in the opposite order.
    private static func readReversed(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let shape = try reader.shape(of: try node.value(), for: node)
        let (samples, time) = (node.integer("batch_axis", or: 1), node.integer("time_axis", or: 0))
        guard let lengths = try node.tensor(at: 1)?.doubles.map({ Int($0) }), shape.rank >= 2,
            Set([samples, time]) == [0, 1], lengths.count == shape[samples],
            lengths.allSatisfy({ 0...shape[time] ~= $0 }),
            shape.count <= ONNXConstants.maximumCount
        else { throw node.fail(.unfit(.lengths, [shape])) }
        try reader.spend(shape.count, on: node)
        let inner = shape.dimensions[2...].reduce(1, *)
        let indices = (0..<shape.count).map { place in
            let position = [place / inner / shape[1], place / inner % shape[1]]
            let (step, length) = (position[time], lengths[position[samples]])
            return step < length ? length - 1 - step : step
        }
        return try reader.apply(
            "GatherElements", to: node.inputs[0], .integers(indices, shape: shape),
            with: ["axis": .integer(time)], for: node)
    }
}

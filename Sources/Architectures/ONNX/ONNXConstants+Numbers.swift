// What evaluations of known numbers are made of: functions of each, reductions, and places along an axis.

import GraftNetworks
import GraftTensors

extension ONNXConstants {
    /// All axes at once, or one after another.
    static func reduce(
        _ function: @escaping @Sendable (Double, Double) -> Double
    ) -> Evaluation {
        { node, inputs in
            let shape = inputs[0].shape
            let named = try node.integers("axes", orAt: 1) ?? Array(0..<shape.rank)
            let axes = Set(try named.map { try node.axis($0, rank: shape.rank) })
            var (values, sizes) = (inputs[0].doubles, shape.dimensions)
            for axis in axes {
                let inner = sizes[(axis + 1)...].reduce(1, *)
                let (count, outer) = (sizes[axis], sizes[..<axis].reduce(1, *))
                guard count > 0 else { return nil }
                values = (0..<(outer * inner)).map { place in
                    let base = place / inner * count * inner + place % inner
                    return (1..<count).reduce(values[base]) {
                        function($0, values[base + $1 * inner])
                    }
                }
                sizes[axis] = 1
            }
            if node.integer("keepdims", or: 1) == 0 {
                sizes = sizes.indices.filter { !axes.contains($0) }.map { sizes[$0] }
            }
            return tensor(values, shape: Shape(sizes), isInteger: inputs[0].isInteger)
        }
    }

    /// The sum over axes, divided by how many numbers it has.
    static let average: Evaluation = { node, inputs in
        guard let sum = try reduce({ $0 + $1 })(node, inputs), sum.count > 0 else { return nil }
        let count = Double(inputs[0].count / sum.count)
        return tensor(sum.doubles.map { $0 / count }, shape: sum.shape, isInteger: false)
    }

    // MARK: Places

    /// The elements of an axis at these places.
    static func taken(
        _ source: Tensor, along axis: Int, at places: [Int], of node: ONNXNode
    ) throws -> Tensor {
        var shape = source.shape
        let (size, inner) = (shape[axis], shape.dimensions[(axis + 1)...].reduce(1, *))
        shape[axis] = places.count
        guard let count = shape.checkedCount, count <= maximumCount else {
            throw node.fail("it makes \(shape) numbers, expected at most \(maximumCount)")
        }
        let values = source.doubles
        let outer = shape.dimensions[..<axis].reduce(1, *)
        var result: [Double] = []
        result.reserveCapacity(count)
        for row in 0..<outer {
            for place in places {
                let base = (row * size + place) * inner
                result += values[base..<(base + inner)]
            }
        }
        return tensor(result, shape: shape, isInteger: source.isInteger)
    }

    /// A value repeated to a shape that it fits.
    static func repeated(
        _ source: Tensor, to shape: Shape, of node: ONNXNode
    ) throws -> Tensor {
        let lead = shape.rank - source.shape.rank
        var result = source.reshaped(
            Shape([Int](repeating: 1, count: lead) + source.shape.dimensions))
        for axis in 0..<shape.rank where result.shape[axis] != shape[axis] {
            result = try taken(
                result, along: axis, at: [Int](repeating: 0, count: shape[axis]), of: node)
        }
        return result
    }

    // MARK: Number by number

    static func unary(_ function: @escaping @Sendable (Double) -> Double) -> Evaluation {
        { _, inputs in
            guard inputs.count == 1 else { return nil }
            let values = inputs[0].doubles.map(function)
            let isInteger = inputs[0].isInteger && values.allSatisfy { $0 == $0.rounded() }
            return tensor(values, shape: inputs[0].shape, isInteger: isInteger)
        }
    }

    /// A function of two numbers, values repeated to fit.
    static func binary(
        _ function: @escaping @Sendable (Double, Double, _ isInteger: Bool) -> Double
    ) -> Evaluation {
        { node, inputs in
            guard inputs.count == 2, let shape = inputs[0].shape.broadcast(with: inputs[1].shape)
            else { return nil }
            let isInteger = inputs.allSatisfy(\.isInteger)
            let a = try repeated(inputs[0], to: shape, of: node).doubles
            let b = try repeated(inputs[1], to: shape, of: node).doubles
            return tensor(
                zip(a, b).map { function($0, $1, isInteger) }, shape: shape, isInteger: isInteger)
        }
    }

    /// A question of two numbers: 1 or 0.
    static func compare(
        _ question: @escaping @Sendable (Double, Double) -> Bool
    ) -> Evaluation {
        { node, inputs in
            let answer = try binary { x, y, _ in question(x, y) ? 1 : 0 }(node, inputs)
            return answer.map { tensor($0.doubles, shape: $0.shape, isInteger: true) }
        }
    }

    /// Numbers as 64-bit integers or in single precision.
    static func tensor(_ values: [Double], shape: Shape, isInteger: Bool) -> Tensor {
        isInteger
            ? Tensor(
                .i64, shape, storage: Storage(values.map { Int64(exactly: $0.rounded()) ?? 0 }))
            : Tensor(values.map { Float($0) }, shape: shape)
    }
}

extension Tensor {
    /// Whether the elements are integers or booleans.
    var isInteger: Bool { !dtype.isFloatingPoint }
}

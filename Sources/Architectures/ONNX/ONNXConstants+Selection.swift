// Operators whose results have sizes that depend on numbers: they are computed while a file is read.

import GraftNetworks
import GraftTensors

extension ONNXConstants {
    /// Operators whose inputs a cut has made numbers.
    static let selections: [String: @Sendable (ONNXNode, [Tensor]) throws -> [ONNXValue]] = [
        "BitCast": reinterpret, "Compress": compress, "Det": determinants,
        "NonMaxSuppression": suppress, "NonZero": places, "Unique": unique,
    ]

    /// The rows of these operators.
    static let rows: [String: ONNXOperator] = selections.mapValues { select in
        .values { node, reader in
            let tensors = try node.inputs.indices.map { index -> Tensor in
                guard node.inputs[index] != nil else { return Tensor([], shape: [0]) }
                guard let tensor = try node.tensor(at: index) else {
                    throw node.fail(.missingInput(String(index)))
                }
                try reader.spend(tensor.count, on: node)
                return tensor
            }
            return try select(node, tensors)
        }
    }

    /// `NonZero`: the places of numbers that are not 0, one column each.
    private static func places(of node: ONNXNode, reading inputs: [Tensor]) -> [ONNXValue] {
        let shape = inputs[0].shape
        let found = inputs[0].doubles.indices.filter { [values = inputs[0].doubles] in
            values[$0] != 0
        }
        let rank = max(shape.rank, 1)
        var result = [Int](repeating: 0, count: rank * found.count)
        for (column, place) in found.enumerated() {
            var rest = place
            for axis in shape.dimensions.indices.reversed() {
                result[axis * found.count + column] = rest % shape[axis]
                rest /= shape[axis]
            }
        }
        return [.integers(result, shape: [rank, found.count])]
    }

    /// `Compress`: the slices of an axis, or the elements, where a condition holds.
    private static func compress(of node: ONNXNode, reading inputs: [Tensor]) throws -> [ONNXValue]
    {
        guard inputs.count == 2 else { throw node.fail(.missing(.input)) }
        let (x, holds) = (inputs[0], inputs[1].doubles)
        let flat = x.reshaped([x.count])
        let source = node.attribute("axis") == nil ? flat : x
        let axis = try node.axis(node.integer("axis", or: 0), rank: max(source.shape.rank, 1))
        let kept = (0..<min(source.shape[axis], holds.count)).filter { holds[$0] != 0 }
        return [.constant(try taken(source, along: axis, at: kept, of: node))]
    }

    /// `Unique`: different elements or slices, where each is first, which each element is, and counts.
    private static func unique(of node: ONNXNode, reading inputs: [Tensor]) throws -> [ONNXValue] {
        let source: Tensor
        let axis: Int
        if node.attribute("axis") == nil {
            (source, axis) = (inputs[0].reshaped([inputs[0].count]), 0)
        } else {
            source = inputs[0]
            axis = try node.axis(node.integer("axis", or: 0), rank: source.shape.rank)
        }
        let shape = source.shape
        let inner = shape.dimensions[(axis + 1)...].reduce(1, *)
        let outer = shape.dimensions[..<axis].reduce(1, *)
        let numbers = source.doubles
        let slices = (0..<shape[axis]).map { index in
            (0..<outer).flatMap { row in
                let start = (row * shape[axis] + index) * inner
                return numbers[start..<(start + inner)].map(Key.init)
            }
        }
        var firsts: [[Key]: Int] = [:]
        var order: [Int] = []
        for (index, slice) in slices.enumerated() where firsts[slice] == nil {
            firsts[slice] = index
            order.append(index)
        }
        if node.integer("sorted", or: 1) != 0 {
            order.sort { slices[$0].lexicographicallyPrecedes(slices[$1]) }
        }
        var rank: [Int: Int] = [:]
        for (place, index) in order.enumerated() { rank[index] = place }
        let inverse = slices.map { firsts[$0].flatMap { rank[$0] } ?? 0 }
        var counts = [Int](repeating: 0, count: order.count)
        for place in inverse { counts[place] += 1 }
        return [
            .constant(try taken(source, along: axis, at: order, of: node)), .integers(order),
            .integers(inverse), .integers(counts),
        ]
    }

    /// A number that is equal to itself, whatever it is.
    private struct Key: Hashable, Comparable {
        private let number: Double
        init(_ number: Double) { self.number = number == 0 ? 0 : number }
        static func == (a: Key, b: Key) -> Bool {
            a.number == b.number || a.number.isNaN && b.number.isNaN
        }
        static func < (a: Key, b: Key) -> Bool {
            a.number < b.number || b.number.isNaN && !a.number.isNaN
        }
        func hash(into hasher: inout Hasher) { hasher.combine(number.isNaN ? 0 : number) }
    }

    /// `NonMaxSuppression`: for each class of each sample the boxes that none of a higher score covers, as
    /// (sample, class, box).
    private static func suppress(of node: ONNXNode, reading inputs: [Tensor]) throws -> [ONNXValue]
    {
        guard inputs.count >= 2, inputs[0].shape.rank == 3, inputs[1].shape.rank == 3,
            inputs[0].shape[2] == 4, inputs[1].shape[2] == inputs[0].shape[1],
            inputs[0].shape[0] == inputs[1].shape[0]
        else { throw node.fail(.unfit(.values, inputs.map(\.shape))) }
        func number(_ index: Int, or usual: Double) -> Double {
            inputs.indices.contains(index) ? inputs[index].doubles.first ?? usual : usual
        }
        let most = Int(clamping: Int64(number(2, or: 0)))
        let (overlap, least) = (number(3, or: 0), number(4, or: -.infinity))
        let isCentred = node.integer("center_point_box", or: 0) != 0
        let (samples, classes) = (inputs[1].shape[0], inputs[1].shape[1])
        let count = inputs[0].shape[1]
        let (numbers, scores) = (inputs[0].floats, inputs[1].floats)
        var result: [Int] = []
        for sample in 0..<samples {
            let boxes = (0..<count).map { index in
                let start = (sample * count + index) * 4
                return Box(numbers[start..<(start + 4)], isCentred: isCentred)
            }
            for kind in 0..<classes {
                let own = (0..<count).map { scores[(sample * classes + kind) * count + $0] }
                let order = (0..<count).filter { Double(own[$0]) > least }.sorted {
                    own[$0] == own[$1] ? $0 < $1 : own[$0] > own[$1]
                }
                var kept: [Int] = []
                for index in order where kept.count < most {
                    if kept.allSatisfy({ Double(boxes[$0].overlap(with: boxes[index])) <= overlap })
                    {
                        kept.append(index)
                    }
                }
                for index in kept { result += [sample, kind, index] }
            }
        }
        return [.integers(result, shape: [result.count / 3, 3])]
    }

    /// A box by its corners.
    private struct Box {
        private let low: (Float, Float)
        private let high: (Float, Float)

        /// (y1, x1, y2, x2) in any order of the corners, or (x, y, width, height) of its middle.
        init(_ numbers: ArraySlice<Float>, isCentred: Bool) {
            let n = Array(numbers)
            guard isCentred else {
                low = (min(n[0], n[2]), min(n[1], n[3]))
                high = (max(n[0], n[2]), max(n[1], n[3]))
                return
            }
            low = (n[1] - n[3] / 2, n[0] - n[2] / 2)
            high = (n[1] + n[3] / 2, n[0] + n[2] / 2)
        }

        private var area: Float { (high.0 - low.0) * (high.1 - low.1) }

        func overlap(with other: Box) -> Float {
            let height = min(high.0, other.high.0) - max(low.0, other.low.0)
            let width = min(high.1, other.high.1) - max(low.1, other.low.1)
            guard height > 0, width > 0 else { return 0 }
            let common = height * width
            let union = area + other.area - common
            return union > 0 ? common / union : 0
        }
    }

    /// `Det`: the determinant of each matrix.
    private static func determinants(of node: ONNXNode, reading inputs: [Tensor]) throws
        -> [ONNXValue]
    {
        let shape = inputs[0].shape
        guard shape.rank >= 2, shape[shape.rank - 1] == shape[shape.rank - 2] else {
            throw node.fail(.unfit(.values, [shape]))
        }
        let size = shape[shape.rank - 1]
        let numbers = inputs[0].doubles
        let count = size == 0 ? 0 : numbers.count / (size * size)
        let values = (0..<count).map { matrix -> Float in
            var rows = (0..<size).map { row in
                Array(numbers[((matrix * size + row) * size)..<((matrix * size + row + 1) * size)])
            }
            var product = 1.0
            for column in 0..<size {
                guard
                    let pivot = (column..<size).max(by: {
                        abs(rows[$0][column]) < abs(rows[$1][column])
                    }), rows[pivot][column] != 0
                else { return 0 }
                if pivot != column {
                    rows.swapAt(pivot, column)
                    product = -product
                }
                product *= rows[column][column]
                for row in (column + 1)..<max(size, column + 1) {
                    let factor = rows[row][column] / rows[column][column]
                    for place in column..<size { rows[row][place] -= factor * rows[column][place] }
                }
            }
            return Float(product)
        }
        return [.numbers(values, shape: Shape(Array(shape.dimensions.dropLast(2))))]
    }

    /// `BitCast`: the same bytes as another type of as many.
    private static func reinterpret(of node: ONNXNode, reading inputs: [Tensor]) throws
        -> [ONNXValue]
    {
        var proto = DType.f32
        switch node.integer("to", or: 0) {
        case 1: proto = .f32
        case 2: proto = .u8
        case 3: proto = .i8
        case 4: proto = .u16
        case 5: proto = .i16
        case 6: proto = .i32
        case 7: proto = .i64
        case 9: proto = .bool
        case 10: proto = .f16
        case 11: proto = .f64
        case 12: proto = .u32
        case 13: proto = .u64
        case let other: throw node.fail("graft has no element type \(other)")
        }
        let target = proto
        guard target.bitCount == inputs[0].dtype.bitCount else {
            throw node.fail(
                "expected a type of \(inputs[0].dtype.bitCount) bits, found \(target.rawValue)")
        }
        let bytes = inputs[0].withBytes { Array($0) }
        return [.constant(Tensor(target, inputs[0].shape, storage: Storage(bytes)))]
    }
}

// ONNX operators over numbers that are known: shapes of values, and what exporters compute of them.

import Foundation
import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// Evaluates the nodes of a file whose values decide shapes and factors.
enum ONNXConstants {
    /// The largest number of elements of a value that is computed: weights that are scaled, too.
    static let maximumCount = 1 << 24

    /// The value of a node whose inputs are all known; nil if it is not one of these.
    static func evaluate(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Tensor? {
        switch node.type {
        case "Constant": return try reader.known(node) ?? literal(node)
        case "Shape": return try shape(node, in: reader)
        default: break
        }
        var inputs: [Tensor] = []
        for input in node.inputs {
            guard case .constant(let tensor)? = input else { return nil }
            inputs.append(tensor)
        }
        guard !inputs.isEmpty, let evaluation = all[node.type],
            inputs.allSatisfy({ $0.count <= maximumCount })
        else { return nil }
        guard let result = try evaluation(node, inputs) else { return nil }
        try reader.spend(result.count, on: node)
        return result
    }

    /// Computes a node from its inputs, of which there is one at least; nil if it cannot.
    typealias Evaluation = @Sendable (ONNXNode, [Tensor]) throws -> Tensor?

    private static let all: [String: Evaluation] = [
        "Abs": unary { abs($0) },
        "Add": binary { x, y, _ in x + y },
        "And": compare { $0 != 0 && $1 != 0 },
        "BatchNormalization": normalize,
        "Cast": cast,
        "Ceil": unary { $0.rounded(.up) },
        "Concat": concatenate,
        "ConstantOfShape": fill,
        "Cos": unary { cos($0) },
        "CumSum": accumulate,
        "Div": binary { x, y, isInteger in isInteger ? (x / y).rounded(.towardZero) : x / y },
        "Equal": compare { $0 == $1 },
        "Exp": unary { exp($0) },
        "Expand": expand,
        "Floor": unary { $0.rounded(.down) },
        "Gather": gather,
        "Greater": compare { $0 > $1 },
        "GreaterOrEqual": compare { $0 >= $1 },
        "Identity": { _, inputs in inputs[0] },
        "Less": compare { $0 < $1 },
        "LessOrEqual": compare { $0 <= $1 },
        "Log": unary { log($0) },
        "Max": binary { x, y, _ in max(x, y) },
        "Min": binary { x, y, _ in min(x, y) },
        "Mod": { node, inputs in
            let isC = node.integer("fmod", or: 0) != 0
            return try binary { x, y, _ in
                isC ? x.truncatingRemainder(dividingBy: y) : x - (x / y).rounded(.down) * y
            }(node, inputs)
        },
        "Mul": binary { x, y, _ in x * y },
        "Neg": unary { -$0 },
        "Not": unary { $0 == 0 ? 1 : 0 },
        "Or": compare { $0 != 0 || $1 != 0 },
        "Pow": binary { x, y, _ in pow(x, y) },
        "Range": range,
        "Reciprocal": unary { 1 / $0 },
        "ReduceMax": reduce { max($0, $1) },
        "ReduceMean": average,
        "ReduceMin": reduce { min($0, $1) },
        "ReduceProd": reduce { $0 * $1 },
        "ReduceSum": reduce { $0 + $1 },
        "Reshape": resize,
        "Sin": unary { sin($0) },
        "Slice": slice,
        "Sqrt": unary { $0.squareRoot() },
        "Squeeze": reshape,
        "Sub": binary { x, y, _ in x - y },
        "Tile": tile,
        "Transpose": transpose,
        "Unsqueeze": reshape,
        "Where": choose,
    ]

    // MARK: Operators

    /// The numbers of a `Constant`, in whichever of its attributes.
    private static func literal(_ node: ONNXNode) throws -> Tensor {
        if let tensor = try node.tensor("value") { return tensor }
        for attribute in node.proto.attribute {
            switch attribute.name {
            case "value_float": return Tensor([attribute.f], shape: [])
            case "value_floats": return Tensor(attribute.floats, shape: [attribute.floats.count])
            case "value_int": return Tensor(.i64, [], storage: Storage([attribute.i]))
            case "value_ints":
                return Tensor(.i64, [attribute.ints.count], storage: Storage(attribute.ints))
            default: continue
            }
        }
        throw node.fail("its constant must be a tensor")
    }

    /// The extents of a value, as if the batch were of one: whoever shapes by them says so.
    private static func shape(_ node: ONNXNode, in reader: ONNXReader) throws -> Tensor {
        let dimensions: [Int]
        switch try node.value() {
        case .constant(let tensor): dimensions = tensor.shape.dimensions
        case .node(let x): dimensions = reader.builder.shapes[x].dimensions
        case .channelsLast(let x):
            let shape = reader.builder.shapes[x]
            guard shape.rank == 4 else { throw node.fail(.computed(.sizes)) }
            dimensions = [shape[0], shape[2], shape[3], shape[1]]
        case .split, .shuffled: throw node.fail(.computed(.sizes))
        }
        func bound(_ name: String, or usual: Int) -> Int {
            let place = node.integer(name, or: usual)
            return min(max(place < 0 ? place + dimensions.count : place, 0), dimensions.count)
        }
        let start = bound("start", or: 0)
        let part = dimensions[start..<max(bound("end", or: dimensions.count), start)]
        return tensor(part.map(Double.init), shape: [part.count], isInteger: true)
    }

    private static let reshape: Evaluation = { node, inputs in
        let axes = try node.integers("axes", orAt: 1)
        return inputs[0].reshaped(try node.reshaped(inputs[0].shape, axes: axes))
    }

    private static let fill: Evaluation = { node, inputs in
        let shape = Shape(try node.integers(at: 0) ?? [])
        guard let count = shape.checkedCount, count <= maximumCount else {
            throw node.fail("it makes \(shape) numbers, expected at most \(maximumCount)")
        }
        guard let number = try node.tensor("value") else {
            return Tensor([Float](repeating: 0, count: count), shape: shape)
        }
        guard number.count == 1 else { throw node.fail("its value is not one number") }
        return tensor(
            [Double](repeating: number.doubles[0], count: count), shape: shape,
            isInteger: number.isInteger)
    }

    private static let gather: Evaluation = { node, inputs in
        guard inputs.count == 2, inputs[0].shape.rank > 0 else { return nil }
        let (first, shape) = (inputs[0], inputs[0].shape)
        let axis = try node.axis(node.integer("axis", or: 0), rank: shape.rank)
        let indices = try inputs[1].doubles.map { index -> Int in
            let place = Int(exactly: index).map { $0 < 0 ? $0 + shape[axis] : $0 }
            guard let place, 0..<shape[axis] ~= place else {
                throw node.fail("it reads number \(index) of \(shape[axis])")
            }
            return place
        }
        let part = try taken(first, along: axis, at: indices, of: node)
        let target =
            shape.dimensions[..<axis] + inputs[1].shape.dimensions
            + shape.dimensions[(axis + 1)...]
        return part.reshaped(Shape(Array(target)))
    }

    private static let concatenate: Evaluation = { node, inputs in
        guard let rank = inputs.first?.shape.rank, rank > 0,
            inputs.allSatisfy({ $0.shape.rank == rank }),
            inputs.reduce(0, { $0 + $1.count }) <= maximumCount
        else { return nil }
        let axis = try node.axis(node.integer("axis", or: 0), rank: rank)
        var shape = inputs[0].shape
        shape[axis] = inputs.reduce(0) { $0 + $1.shape[axis] }
        let outer = shape.dimensions[..<axis].reduce(1, *)
        let lists = inputs.map(\.doubles)
        var values: [Double] = []
        for row in 0..<outer {
            for list in lists {
                let count = list.count / max(outer, 1)
                values += list[(row * count)..<((row + 1) * count)]
            }
        }
        guard values.count == shape.checkedCount else { throw node.fail(.unfit(.parts, [shape])) }
        return tensor(values, shape: shape, isInteger: inputs.allSatisfy(\.isInteger))
    }

    private static let slice: Evaluation = { node, inputs in
        var result = inputs[0]
        for cut in try node.cuts(of: inputs[0].shape) {
            result = try taken(
                result, along: cut.axis, at: (0..<cut.count).map { cut.start + $0 * cut.step },
                of: node)
        }
        return result
    }

    private static let cast: Evaluation = { node, inputs in
        let target = node.integer("to", or: 1)
        // FLOAT, FLOAT16, DOUBLE and BFLOAT16 of ONNX's types; BOOL is 9.
        let isReal = [1, 10, 11, 16].contains(target)
        let values = inputs[0].doubles
        if isReal {
            return inputs[0].isInteger
                ? tensor(values, shape: inputs[0].shape, isInteger: false) : inputs[0]
        }
        return tensor(
            values.map { target == 9 ? ($0 != 0 ? 1 : 0) : $0.rounded(.towardZero) },
            shape: inputs[0].shape, isInteger: true)
    }

    /// Sums along an axis, from its beginning or its end.
    private static let accumulate: Evaluation = { node, inputs in
        guard inputs.count == 2, let named = try node.integers(at: 1)?.first else { return nil }
        let shape = inputs[0].shape
        let axis = try node.axis(named, rank: shape.rank)
        let isExclusive = node.integer("exclusive", or: 0) != 0
        let isReverse = node.integer("reverse", or: 0) != 0
        let (count, inner) = (shape[axis], shape.dimensions[(axis + 1)...].reduce(1, *))
        var values = inputs[0].doubles
        for outer in 0..<(values.count / max(count * inner, 1)) {
            for column in 0..<inner {
                var sum = 0.0
                for step in 0..<count {
                    let place = isReverse ? count - 1 - step : step
                    let at = (outer * count + place) * inner + column
                    let own = values[at]
                    values[at] = isExclusive ? sum : sum + own
                    sum += own
                }
            }
        }
        return tensor(values, shape: shape, isInteger: inputs[0].isInteger)
    }

    /// `BatchNormalization` of weights, as networks without normalisation layers standardise them.
    private static let normalize: Evaluation = { node, inputs in
        let shape = inputs[0].shape
        guard inputs.count == 5, shape.rank >= 2,
            inputs[1...].allSatisfy({ $0.count == shape[1] })
        else { return nil }
        var factors = inputs[1...].map(\.doubles)
        let epsilon = Double(node.number("epsilon", or: 1e-5))
        let inner = shape.dimensions[2...].reduce(1, *)
        if node.integer("training_mode", or: 0) != 0 {
            // The statistics are those of the numbers themselves.
            (factors[2], factors[3]) = moments(inputs[0].doubles, of: shape, inner: inner)
        }
        let values = inputs[0].doubles.enumerated().map { place, value in
            let channel = place / max(inner, 1) % shape[1]
            return (value - factors[2][channel]) / (factors[3][channel] + epsilon).squareRoot()
                * factors[0][channel] + factors[1][channel]
        }
        return tensor(values, shape: shape, isInteger: false)
    }

    /// The mean and the variance of each channel.
    private static func moments(
        _ values: [Double], of shape: Shape, inner: Int
    ) -> (means: [Double], variances: [Double]) {
        let count = Double(values.count / max(shape[1], 1))
        var means = [Double](repeating: 0, count: shape[1])
        var variances = means
        func channel(_ place: Int) -> Int { place / max(inner, 1) % shape[1] }
        for (place, value) in values.enumerated() { means[channel(place)] += value / count }
        for (place, value) in values.enumerated() {
            let difference = value - means[channel(place)]
            variances[channel(place)] += difference * difference / count
        }
        return (means, variances)
    }

    private static let range: Evaluation = { node, inputs in
        guard inputs.count == 3, inputs.allSatisfy({ $0.count == 1 }) else { return nil }
        let bounds = inputs.map { $0.doubles[0] }
        let count = ((bounds[1] - bounds[0]) / bounds[2]).rounded(.up)
        guard count >= 1, count <= Double(maximumCount) else {
            throw node.fail("expected 1 to \(maximumCount) numbers, found \(count)")
        }
        return tensor(
            (0..<Int(count)).map { bounds[0] + Double($0) * bounds[2] }, shape: [Int(count)],
            isInteger: inputs.allSatisfy(\.isInteger))
    }

    private static let expand: Evaluation = { node, inputs in
        guard inputs.count == 2, let sizes = try node.integers(at: 1),
            let shape = inputs[0].shape.broadcast(with: Shape(sizes))
        else { return nil }
        return try repeated(inputs[0], to: shape, of: node)
    }

    private static let tile: Evaluation = { node, inputs in
        guard let counts = try node.integers(at: 1), counts.count == inputs[0].shape.rank,
            counts.allSatisfy({ (1...maximumCount).contains($0) })
        else { return nil }
        var result = inputs[0]
        for (axis, count) in counts.enumerated() where count > 1 {
            let size = result.shape[axis]
            guard size * count <= maximumCount else { return nil }
            result = try taken(
                result, along: axis, at: (0..<(size * count)).map { $0 % size }, of: node)
        }
        return result
    }

    private static let transpose: Evaluation = { node, inputs in
        let rank = inputs[0].shape.rank
        let order = node.integers("perm") ?? Array((0..<rank).reversed())
        guard order.sorted() == Array(0..<rank) else { throw node.fail("its order is \(order)") }
        return inputs[0].permuted(order)
    }

    private static let resize: Evaluation = { node, inputs in
        guard let sizes = try node.integers(at: 1) else { return nil }
        if inputs[0].count == 0 { return try emptied(inputs[0], to: sizes, node) }
        do throws(OpFlaw) {
            let target = try Op.view(sizes).rule.outputs(reading: [ValueType(inputs[0].shape)])
            return inputs[0].reshaped(target[0].shape)
        } catch {
            throw node.fail(error.explanation)
        }
    }

    /// An empty value under other sizes.
    private static func emptied(_ x: Tensor, to sizes: [Int], _ node: ONNXNode) throws -> Tensor {
        let keepsZeros = node.integer("allowzero", or: 0) != 0
        var target = sizes.enumerated().map { axis, size in
            size == 0 && !keepsZeros && axis < x.shape.rank ? x.shape[axis] : size
        }
        if let open = target.firstIndex(of: -1) {
            let known = target.filter { $0 != -1 }.reduce(1, *)
            target[open] = known == 0 ? 0 : x.count / known
        }
        guard Shape(target).checkedCount == 0 else {
            throw node.fail(.unfit(.sizes, [x.shape, Shape(sizes)]))
        }
        return x.reshaped(Shape(target))
    }

    private static let choose: Evaluation = { node, inputs in
        guard inputs.count == 3, let both = inputs[1].shape.broadcast(with: inputs[2].shape),
            let shape = inputs[0].shape.broadcast(with: both)
        else { return nil }
        let parts = try inputs.map { try repeated($0, to: shape, of: node).doubles }
        return tensor(
            parts[0].indices.map { parts[0][$0] != 0 ? parts[1][$0] : parts[2][$0] }, shape: shape,
            isInteger: inputs[1].isInteger && inputs[2].isInteger)
    }
}

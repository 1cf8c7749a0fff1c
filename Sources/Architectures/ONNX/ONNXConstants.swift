// ONNX operators over numbers that are known: shapes of values, and what exporters compute of them.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// Evaluates the nodes of a file whose values decide shapes and factors.
enum ONNXConstants {
    /// The largest number of elements that is computed: shapes and factors, no weights.
    static let maximumCount = 65536

    /// The value of a node whose inputs are all known; nil if it is not one of these.
    static func evaluate(_ node: ONNXNode, in reader: ONNXReader) throws -> Tensor? {
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
        guard !inputs.isEmpty, let evaluation = all[node.type] else { return nil }
        return try evaluation(node, inputs)
    }

    /// Computes a node from its inputs, of which there is one at least; nil if it cannot.
    private typealias Evaluation = @Sendable (ONNXNode, [Tensor]) throws -> Tensor?

    private static let all: [String: Evaluation] = [
        "Add": binary { x, y, _ in x + y },
        "Ceil": unary { $0.rounded(.up) },
        "Concat": concatenate,
        "ConstantOfShape": fill,
        "Div": binary { x, y, isInteger in isInteger ? (x / y).rounded(.towardZero) : x / y },
        "Floor": unary { $0.rounded(.down) },
        "Gather": gather,
        "Mul": binary { x, y, _ in x * y },
        "Slice": slice,
        "Sqrt": unary { $0.squareRoot() },
        "Squeeze": reshape,
        "Sub": binary { x, y, _ in x - y },
        "Unsqueeze": reshape,
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
            dimensions = shape.rank == 4 ? [shape[0], shape[2], shape[3], shape[1]] : []
        case .split, .shuffled: dimensions = []
        }
        guard !dimensions.isEmpty else { throw node.fail("graft does not know its input's shape") }
        return tensor(dimensions.map(Double.init), shape: [dimensions.count], isInteger: true)
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
        let first = inputs[0]
        guard inputs.count == 2, first.shape.rank == 1, node.integer("axis", or: 0) == 0,
            first.count <= maximumCount, inputs[1].count <= maximumCount
        else { return nil }
        let numbers = first.doubles
        let found = try inputs[1].doubles.map { index -> Double in
            let place = index < 0 ? index + Double(numbers.count) : index
            guard let at = Int(exactly: place), numbers.indices.contains(at) else {
                throw node.fail("it reads number \(index) of \(numbers.count)")
            }
            return numbers[at]
        }
        return tensor(found, shape: inputs[1].shape, isInteger: first.isInteger)
    }

    private static let concatenate: Evaluation = { node, inputs in
        guard inputs.allSatisfy({ $0.shape.rank == 1 }),
            inputs.reduce(0, { $0 + min($1.count, maximumCount) }) <= maximumCount
        else { return nil }
        let joined = inputs.flatMap(\.doubles)
        return tensor(joined, shape: [joined.count], isInteger: inputs.allSatisfy(\.isInteger))
    }

    private static let slice: Evaluation = { node, inputs in
        let first = inputs[0]
        guard first.shape.rank == 1, first.count <= maximumCount else { return nil }
        let cuts = try node.cuts(of: first.shape)
        guard cuts.count == 1, cuts[0].axis == 0 else { return nil }
        let part = Array(first.doubles[cuts[0].range])
        return tensor(part, shape: [part.count], isInteger: first.isInteger)
    }

    // MARK: Number by number

    private static func unary(_ function: @escaping @Sendable (Double) -> Double) -> Evaluation {
        { _, inputs in
            guard inputs.count == 1, inputs[0].count <= maximumCount else { return nil }
            return tensor(
                inputs[0].doubles.map(function), shape: inputs[0].shape, isInteger: false)
        }
    }

    /// One number serves for all of the other operand's.
    private static func binary(
        _ function: @escaping @Sendable (Double, Double, _ isInteger: Bool) -> Double
    ) -> Evaluation {
        { _, inputs in
            guard inputs.count == 2, inputs.allSatisfy({ $0.count <= maximumCount }) else {
                return nil
            }
            let a = inputs[0].doubles
            let b = inputs[1].doubles
            guard inputs[0].shape == inputs[1].shape || a.count == 1 || b.count == 1 else {
                return nil
            }
            let isInteger = inputs.allSatisfy(\.isInteger)
            let values = (0..<max(a.count, b.count)).map { index in
                function(a[a.count == 1 ? 0 : index], b[b.count == 1 ? 0 : index], isInteger)
            }
            let shape = b.count > a.count ? inputs[1].shape : inputs[0].shape
            return tensor(values, shape: shape, isInteger: isInteger)
        }
    }

    private static func tensor(_ values: [Double], shape: Shape, isInteger: Bool) -> Tensor {
        isInteger
            ? Tensor(
                .i64, shape, storage: Storage(values.map { Int64(exactly: $0.rounded()) ?? 0 }))
            : Tensor(values.map { Float($0) }, shape: shape)
    }
}

extension Tensor {
    fileprivate var isInteger: Bool { !dtype.isFloatingPoint }
}

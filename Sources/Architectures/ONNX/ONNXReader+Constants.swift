// ONNX operators over numbers that are known: shapes of values, and what exporters compute of them.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    /// How many numbers are computed at most: shapes and factors, no weights.
    private static let limit = 65536

    /// Computes a node whose inputs are all known; false if it is none of these.
    mutating func fold(_ node: Onnx_NodeProto) throws -> Bool {
        if node.opType == "Shape" {
            try result(node, .constant(try shape(node)))
            return true
        }
        var inputs: [Tensor] = []
        for name in node.input {
            guard !name.isEmpty, case .constant(let tensor)? = values[name] else { return false }
            inputs.append(tensor)
        }
        guard let first = inputs.first, let result = try folded(node, first, inputs) else {
            return false
        }
        try self.result(node, .constant(result))
        return true
    }

    private func folded(_ node: Onnx_NodeProto, _ first: Tensor, _ inputs: [Tensor]) throws
        -> Tensor?
    {
        switch node.opType {
        case "Unsqueeze", "Squeeze":
            let axes = try integers(node, "axes") ?? integers(node, 1)
            return first.reshaped(try reshaped(node, first.shape, axes))
        case "ConstantOfShape":
            let shape = Shape(try integers(node, 0) ?? [])
            guard let count = shape.checkedCount, count <= Self.limit else {
                throw fail(node, "it makes \(shape) numbers, which are no weights of a network")
            }
            guard let value = attribute(node, "value"), value.hasT else {
                return Tensor([Float](repeating: 0, count: count), shape: shape)
            }
            let number = try value.t.tensorOrFailure(self, node)
            guard number.count == 1 else { throw fail(node, "its value is not one number") }
            return Self.tensor(
                [Double](repeating: Self.numbers(number)[0], count: count), shape,
                isInteger: Self.isInteger(number))
        case "Gather":
            let indices = inputs.count > 1 ? Self.numbers(inputs[1]) : []
            guard first.shape.rank == 1, integer(node, "axis", 0) == 0,
                first.count <= Self.limit, indices.count <= Self.limit
            else { return nil }
            let numbers = Self.numbers(first)
            let found = try indices.map { index -> Double in
                let place = index < 0 ? index + Double(numbers.count) : index
                guard let at = Int(exactly: place), numbers.indices.contains(at) else {
                    throw fail(node, "it reads number \(index) of \(numbers.count)")
                }
                return numbers[at]
            }
            return Self.tensor(found, inputs[1].shape, isInteger: Self.isInteger(first))
        case "Concat":
            guard inputs.allSatisfy({ $0.shape.rank == 1 }),
                inputs.reduce(0, { $0 + min($1.count, Self.limit) }) <= Self.limit
            else { return nil }
            let joined = inputs.flatMap { Self.numbers($0) }
            return Self.tensor(
                joined, [joined.count], isInteger: inputs.allSatisfy(Self.isInteger))
        case "Slice":
            guard first.shape.rank == 1, first.count <= Self.limit else { return nil }
            let cut = try cuts(node, first.shape)
            guard cut.count == 1, cut[0].axis == 0 else { return nil }
            let part = Array(Self.numbers(first)[cut[0].range])
            return Self.tensor(part, [part.count], isInteger: Self.isInteger(first))
        case "Add", "Sub", "Mul", "Div", "Floor", "Ceil", "Sqrt":
            return arithmetic(node.opType, inputs)
        default: return nil
        }
    }

    /// Number by number; one serves for all of the other's.
    private func arithmetic(_ op: String, _ inputs: [Tensor]) -> Tensor? {
        guard let first = inputs.first, inputs.allSatisfy({ $0.count <= Self.limit }) else {
            return nil
        }
        let a = Self.numbers(first)
        guard inputs.count == 2 else {
            switch op {
            case "Floor":
                return Self.tensor(a.map { $0.rounded(.down) }, first.shape, isInteger: false)
            case "Ceil":
                return Self.tensor(a.map { $0.rounded(.up) }, first.shape, isInteger: false)
            case "Sqrt":
                return Self.tensor(a.map { $0.squareRoot() }, first.shape, isInteger: false)
            default: return nil
            }
        }
        let b = Self.numbers(inputs[1])
        guard first.shape == inputs[1].shape || a.count == 1 || b.count == 1 else { return nil }
        let isInteger = inputs.allSatisfy(Self.isInteger)
        let shape = b.count > a.count ? inputs[1].shape : first.shape
        let values = (0..<max(a.count, b.count)).map { index -> Double in
            let (x, y) = (a[a.count == 1 ? 0 : index], b[b.count == 1 ? 0 : index])
            switch op {
            case "Add": return x + y
            case "Sub": return x - y
            case "Mul": return x * y
            default: return isInteger ? (x / y).rounded(.towardZero) : x / y
            }
        }
        return Self.tensor(values, shape, isInteger: isInteger)
    }

    /// The extents of a value, as if the batch were of one: whoever shapes by them says so.
    private func shape(_ node: Onnx_NodeProto) throws -> Tensor {
        guard let name = node.input.first, let value = values[name] else {
            throw fail(node, "its input is missing")
        }
        let dimensions: [Int]
        switch value {
        case .constant(let tensor): dimensions = tensor.shape.dimensions
        case .node(let x): dimensions = builder.shapes[x].dimensions
        case .channelsLast(let x):
            let shape = builder.shapes[x]
            dimensions = shape.rank == 4 ? [shape[0], shape[2], shape[3], shape[1]] : []
        case .split, .shuffled: dimensions = []
        }
        guard !dimensions.isEmpty else { throw fail(node, "graft does not know its input's shape") }
        return Self.tensor(dimensions.map(Double.init), [dimensions.count], isInteger: true)
    }

    private static func isInteger(_ tensor: Tensor) -> Bool { !tensor.dtype.isFloatingPoint }

    private static func numbers(_ tensor: Tensor) -> [Double] {
        tensor.converted(to: .f64).withBytes { bytes in
            (0..<tensor.count).map {
                bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self)
            }
        }
    }

    private static func tensor(_ values: [Double], _ shape: Shape, isInteger: Bool) -> Tensor {
        isInteger
            ? Tensor(
                .i64, shape, storage: Storage(values.map { Int64(exactly: $0.rounded()) ?? 0 }))
            : Tensor(values.map { Float($0) }, shape: shape)
    }

    /// The shape that Squeeze or Unsqueeze makes of another; without axes Squeeze drops all of one.
    func reshaped(_ node: Onnx_NodeProto, _ shape: Shape, _ axes: [Int]?) throws -> Shape {
        var dimensions = shape.dimensions
        let isSqueeze = node.opType == "Squeeze"
        guard let axes else {
            guard isSqueeze else { throw fail(node, "it lacks axes") }
            return Shape(dimensions.filter { $0 != 1 })
        }
        let rank = isSqueeze ? dimensions.count : dimensions.count + axes.count
        let places = Set(axes.map { $0 < 0 ? $0 + rank : $0 })
        guard places.count == axes.count, places.allSatisfy({ (0..<rank).contains($0) }),
            rank <= 8, !isSqueeze || places.allSatisfy({ dimensions[$0] == 1 })
        else { throw fail(node, "its axes \(axes) do not fit \(shape)") }
        if isSqueeze {
            return Shape(dimensions.indices.filter { !places.contains($0) }.map { dimensions[$0] })
        }
        for place in places.sorted() { dimensions.insert(1, at: place) }
        return Shape(dimensions)
    }

    /// What Slice keeps of which axes; only steps of one.
    func cuts(_ node: Onnx_NodeProto, _ shape: Shape) throws -> [(axis: Int, range: Range<Int>)] {
        guard let starts = try integers(node, "starts") ?? integers(node, 1),
            let ends = try integers(node, "ends") ?? integers(node, 2),
            starts.count == ends.count, starts.count <= shape.rank
        else { throw fail(node, "it does not say what it cuts out") }
        let axes = try integers(node, "axes") ?? integers(node, 3) ?? Array(starts.indices)
        let steps = try integers(node, 4) ?? starts.map { _ in 1 }
        guard axes.count == starts.count, steps.allSatisfy({ $0 == 1 }) else {
            throw fail(node, "it leaves numbers out in between")
        }
        return try zip(axes, zip(starts, ends)).map { axis, bounds in
            let axis = axis < 0 ? axis + shape.rank : axis
            guard (0..<shape.rank).contains(axis) else {
                throw fail(node, "its axes do not fit \(shape)")
            }
            func place(_ bound: Int) -> Int {
                min(max(bound < 0 ? bound + shape[axis] : bound, 0), shape[axis])
            }
            let (start, end) = (place(bounds.0), place(bounds.1))
            guard start <= end else { throw fail(node, "it cuts out nothing") }
            return (axis, start..<end)
        }
    }
}

extension Onnx_TensorProto {
    /// The tensor of an attribute.
    func tensorOrFailure(_ reader: ONNXReader, _ node: Onnx_NodeProto) throws -> Tensor {
        do { return try tensor() } catch { throw reader.fail(node, error.reason) }
    }
}

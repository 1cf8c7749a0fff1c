// What the steps of a written TFLite graph are made of: operands in one order of axes, windows, constants by channel.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension TFLiteGraph {
    /// The places of a map's axes when its channels are last.
    static let places = [0, 3, 1, 2]

    /// A value of a node in either order of axes, as it is there.
    mutating func either(_ id: ValueID) throws -> (tensor: Int, isLast: Bool) {
        let value = value(of: id)
        if let last = value.last { return (last, true) }
        return (try plain(id), false)
    }

    /// A value as a step's result in that order.
    func result(_ tensor: Int, isLast: Bool) -> [Value] {
        [isLast ? .last(tensor) : .plain(tensor)]
    }

    /// The sizes of a shape in that order.
    func sizes(_ shape: Shape, isLast: Bool) -> [Int] {
        isLast ? TFLiteSite.last(shape) : shape.dimensions
    }

    /// The axis of the network in that order.
    func place(_ axis: Int, isLast: Bool) -> Int { isLast ? Self.places[axis] : axis }

    /// Adds a step of one operand that works in either order of axes.
    mutating func unary(
        _ type: String, at site: TFLiteSite, options: [String: Int] = [:],
        numbers: [String: Float] = [:]
    ) throws -> [Value] {
        let (x, isLast) = try either(site.x)
        let y = emit(
            type, reading: [x], shape: sizes(site.after, isLast: isLast), name: site.name,
            options: options, numbers: numbers)
        return result(y, isLast: isLast)
    }

    /// The values that a node reads, all of them in one order of axes, for steps that repeat the smaller.
    mutating func operands(at site: TFLiteSite) throws -> (tensors: [Int], isLast: Bool) {
        let isLast =
            site.after.rank == 4
            && site.node.reads.contains { value(of: $0).last != nil }
        let tensors = try zip(site.node.reads, site.shapes).map { id, shape in
            guard isLast else { return try plain(id) }
            if shape.rank == 4 { return try last(id) }
            let x = try plain(id)
            guard shape.rank > 0 else { return x }
            let lead = [Int](repeating: 1, count: 4 - shape.rank)
            let name = "\(site.name)/operand"
            let wide = reshaped(x, to: lead + shape.dimensions, name: name)
            return transposed(wide, to: [0, 2, 3, 1], name: name + "/last")
        }
        return (tensors, isLast)
    }

    /// Adds a step of two operands as often as a node has inputs.
    mutating func chain(_ type: String, at site: TFLiteSite) throws -> [Value] {
        let (tensors, isLast) = try operands(at: site)
        guard var result = tensors.first else { throw site.unsupported(.noNumbers) }
        for (index, tensor) in tensors.enumerated().dropFirst() {
            let shape =
                index == tensors.count - 1
                ? sizes(site.after, isLast: isLast)
                : Shape(shape(of: result)).broadcast(with: Shape(self.shape(of: tensor)))?
                    .dimensions ?? sizes(site.after, isLast: isLast)
            result = emit(
                type, reading: [result, tensor], shape: shape,
                name: index == tensors.count - 1 ? site.name : "\(site.name)/\(index)")
        }
        return self.result(result, isLast: isLast)
    }

    /// Adds a step of a value and one constant.
    mutating func emit(
        _ type: String, of x: Int, with constant: Float, name: String, options: [String: Int] = [:]
    ) -> Int {
        let number = self.constant(constant, name: name + "/constant")
        return emit(
            type, reading: [x, number], shape: shape(of: x), name: name, options: options)
    }

    /// Constants of a value, one or one for each channel (axis 1), in the order of its axes.
    mutating func channels(
        _ values: [Float], of shape: Shape, isLast: Bool, name: String
    ) -> Int {
        guard values.count > 1 else { return constant(values[0], name: name) }
        let isTrailing = isLast || shape.rank == 2
        let sizes =
            isTrailing
            ? [values.count]
            : [1, values.count] + [Int](repeating: 1, count: max(shape.rank - 2, 0))
        return constant(values, shape: sizes, name: name)
    }

    /// Adds x · scale + shift with constants, one or one for each channel.
    mutating func affine(
        scale: [Float], shift: [Float], at site: TFLiteSite
    ) throws -> [Value] {
        let (source, isLast) = try either(site.x)
        var x = source
        let isShifted = shift.contains { $0 != 0 }
        if scale.contains(where: { $0 != 1 }) || !isShifted {
            let factor = channels(
                scale, of: site.after, isLast: isLast, name: site.name + "/scale")
            x = emit(
                "MUL", reading: [x, factor], shape: sizes(site.after, isLast: isLast),
                name: isShifted ? site.name + "/scaled" : site.name)
        }
        if isShifted {
            let term = channels(shift, of: site.after, isLast: isLast, name: site.name + "/shift")
            x = emit(
                "ADD", reading: [x, term], shape: sizes(site.after, isLast: isLast),
                name: site.name)
        }
        return result(x, isLast: isLast)
    }

    // MARK: Windows

    /// The schema's number of a padding.
    enum Border: Int {
        case same, valid
    }

    /// The map that a window reads and the padding that the step has: TFLite knows that of TensorFlow
    /// and none; other amounts are put around the map before.
    mutating func bordered(
        _ x: Int, by window: Window, map: Shape, more: Padding = .zero, value: Float = 0,
        name: String
    ) -> (x: Int, border: Border) {
        var padding = window.resolvedPadding(height: map[2], width: map[3])
        padding.bottom += more.bottom
        padding.right += more.right
        if padding == .zero { return (x, .valid) }
        var usual = window
        usual.padding = .same
        if padding == usual.resolvedPadding(height: map[2], width: map[3]) { return (x, .same) }
        return (padded(x, by: padding, value: value, name: name + "/pad"), .valid)
    }

    /// Adds elements around a map whose channels are last.
    mutating func padded(_ x: Int, by padding: Padding, value: Float, name: String) -> Int {
        var shape = shape(of: x)
        shape[1] += padding.top + padding.bottom
        shape[2] += padding.left + padding.right
        let amounts = constant(
            [0, 0, padding.top, padding.bottom, padding.left, padding.right, 0, 0], shape: [4, 2],
            name: name + "/amounts")
        guard value != 0 else {
            return emit("PAD", reading: [x, amounts], shape: shape, name: name)
        }
        let number = constant([value], shape: [1], name: name + "/value")
        return emit("PADV2", reading: [x, amounts, number], shape: shape, name: name)
    }

    /// Adds a cut of a tensor: for each axis where it starts and how many places it has.
    mutating func cut(_ x: Int, from start: [Int], to shape: [Int], name: String) -> Int {
        guard shape != self.shape(of: x) else { return x }
        var sizes = shape
        // The batch stays open.
        if start[0] == 0, shape[0] == self.shape(of: x)[0] { sizes[0] = -1 }
        let begin = constant(start, name: name + "/begin")
        let size = constant(sizes, name: name + "/size")
        return emit("SLICE", reading: [x, begin, size], shape: shape, name: name)
    }

    // MARK: Statistics

    /// Adds (x − μ) / √(σ² + ε) over axes of a tensor.
    mutating func standardized(
        _ x: Int, over axes: [Int], epsilon: Float, name: String
    ) -> Int {
        let shape = shape(of: x)
        var small = shape
        for axis in axes { small[axis] = 1 }
        let places = constant(axes, name: name + "/axes")
        let mean = emit(
            "MEAN", reading: [x, places], shape: small, name: name + "/mean",
            options: ["keep_dims": 1])
        let centred = emit("SUB", reading: [x, mean], shape: shape, name: name + "/centred")
        let square = emit(
            "MUL", reading: [centred, centred], shape: shape, name: name + "/square")
        let variance = emit(
            "MEAN", reading: [square, places], shape: small, name: name + "/variance",
            options: ["keep_dims": 1])
        let safe = emit("ADD", of: variance, with: epsilon, name: name + "/safe")
        let inverse = emit("RSQRT", reading: [safe], shape: small, name: name + "/inverse")
        return emit(
            "MUL", reading: [centred, inverse], shape: shape, name: name + "/standardized")
    }
}

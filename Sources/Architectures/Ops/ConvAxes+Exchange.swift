// Convolutions over one and three axes, and those at moved places, as convolutions of maps.

import GraftNetworks
import GraftTensors

/// Convolutions of ONNX that are made of those of maps.
enum ONNXConvolutions {
    /// `Conv` over any number of axes.
    static func read(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard let kernel = try node.tensor(at: 1) else { throw node.fail(.missing(.weights)) }
        switch shape.rank {
        case 3:
            return try flat(
                "Conv", of: node, reading: x, shape: shape, kernel: kernel, in: &reader)
        case 5: return try deep(node, reading: x, shape: shape, kernel: kernel, in: &reader)
        default: return .node(try Op.Conv2d.readONNX(node, in: &reader))
        }
    }

    /// `ConvTranspose` over any number of axes.
    static func readTransposed(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard let kernel = try node.tensor(at: 1) else { throw node.fail(.missing(.weights)) }
        let sizes = Array(shape.dimensions.dropFirst(2))
        guard kernel.shape.rank == shape.rank, shape.rank >= 3 else {
            throw node.fail(.unfit(.kernel, [kernel.shape, shape]))
        }
        let plan = try Transposed(node, kernel: Array(kernel.shape.dimensions[2...]), over: sizes)
        switch shape.rank {
        case 3:
            let row = try reader.reshape(x, to: [shape[0], shape[1], 1, shape[2]], for: node)
            let y = try reader.applyAll(
                "ConvTranspose",
                to: [row, .constant(kernel.inserting(axis: 2))] + node.inputs.dropFirst(2),
                with: plan.attributes(rows: -1, columns: 0, node: node), for: node)[0]
            return try squeezed(y, for: node, in: &reader)
        case 4:
            return .node(
                try Op.ConvTranspose2d.readONNX(
                    node, window: plan.window(kernel: kernel.shape), extra: plan.extra, in: &reader)
            )
        case 5:
            return try deepTransposed(
                node, reading: x, shape: shape, kernel: kernel, plan: plan, in: &reader)
        default: throw node.fail("graft does not transpose convolutions over \(sizes.count) axes")
        }
    }

    /// An operator over one axis, as over a map of one row.
    private static func flat(
        _ type: String, of node: ONNXNode, reading x: ONNXValue, shape: Shape, kernel: Tensor,
        in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard kernel.shape.rank == 3 else {
            throw node.fail(.unfit(.kernel, [kernel.shape, shape]))
        }
        let windows = try ONNXWindows(node, kernel: [kernel.shape[2]], over: [shape[2]])
        let row = try reader.reshape(x, to: [shape[0], shape[1], 1, shape[2]], for: node)
        let attributes =
            windows.attributes(rows: -1, columns: 0) + [
                "group": .integer(node.integer("group", or: 1))
            ]
        let y = try reader.applyAll(
            type, to: [row, .constant(kernel.inserting(axis: 2))] + node.inputs.dropFirst(2),
            with: attributes, for: node)[0]
        return try squeezed(y, for: node, in: &reader)
    }

    /// A map of one row as a line.
    private static func squeezed(
        _ y: ONNXValue, for node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let shape = try reader.shape(of: y, for: node)
        return try reader.reshape(y, to: [shape[0], shape[1], shape[3]], for: node)
    }

    /// A convolution over three axes: the sum over the kernel's depth of convolutions of maps.
    private static func deep(
        _ node: ONNXNode, reading x: ONNXValue, shape: Shape, kernel: Tensor,
        in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard kernel.shape.rank == 5 else {
            throw node.fail(.unfit(.kernel, [kernel.shape, shape]))
        }
        let sizes = Array(shape.dimensions[2...])
        let windows = try ONNXWindows(
            node, kernel: Array(kernel.shape.dimensions[2...]), over: sizes)
        let counts = try windows.counts(over: sizes, roundsUp: false, node: node)
        let padded = try reader.apply(
            "Pad", to: x, .integers([0, 0, windows.before[0], 0, 0, 0, 0, windows.after[0], 0, 0]),
            for: node)
        let attributes =
            windows.attributes(rows: 1, columns: 2) + [
                "group": .integer(node.integer("group", or: 1))
            ]
        var parts: [ONNXValue] = []
        for depth in 0..<windows.kernel[0] {
            let start = depth * windows.dilations[0]
            let step = windows.strides[0]
            let cut = try reader.slice(
                padded, axis: 2, from: start, to: start + (counts[0] - 1) * step + 1, step: step,
                for: node)
            let maps = try reader.reshape(
                try reader.transpose(cut, by: [0, 2, 1, 3, 4], for: node),
                to: [shape[0] * counts[0], shape[1], shape[3], shape[4]], for: node)
            let weight = kernel.taking(depth, axis: 2)
            let bias = depth == 0 && node.inputs.count > 2 ? [node.inputs[2]] : []
            parts.append(
                try reader.applyAll(
                    "Conv", to: [maps, .constant(weight)] + bias, with: attributes, for: node)[0])
        }
        let sum = parts.count == 1 ? parts[0] : try reader.applyAll("Sum", to: parts, for: node)[0]
        let flat = try reader.shape(of: sum, for: node)
        let apart = try reader.reshape(
            sum, to: [shape[0], counts[0], flat[1], flat[2], flat[3]], for: node)
        return try reader.transpose(apart, by: [0, 2, 1, 3, 4], for: node)
    }

    /// A transposed convolution over three axes: the sum over the kernel's depth of those of maps, each as
    /// much deeper.
    private static func deepTransposed(
        _ node: ONNXNode, reading x: ONNXValue, shape: Shape, kernel: Tensor, plan: Transposed,
        in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let maps = try reader.reshape(
            try reader.transpose(x, by: [0, 2, 1, 3, 4], for: node),
            to: [shape[0] * shape[2], shape[1], shape[3], shape[4]], for: node)
        let (step, depth) = (plan.strides[0], kernel.shape[2])
        let full = (shape[2] - 1) * step + plan.dilations[0] * (depth - 1) + 1
        var parts: [ONNXValue] = []
        for place in 0..<depth {
            let weight = kernel.taking(place, axis: 2)
            let y = try reader.applyAll(
                "ConvTranspose", to: [maps, .constant(weight)],
                with: plan.attributes(rows: 1, columns: 2, node: node), for: node)[0]
            let flat = try reader.shape(of: y, for: node)
            let apart = try reader.transpose(
                try reader.reshape(
                    y, to: [shape[0], shape[2], 1, flat[1], flat[2], flat[3]], for: node),
                by: [0, 3, 1, 2, 4, 5], for: node)
            let wide = try reader.apply(
                "Pad", to: apart, .integers([0, 0, 0, 0, 0, 0, 0, 0, 0, step - 1, 0, 0]), for: node)
            let joined = try reader.reshape(
                wide, to: [shape[0], flat[1], shape[2] * step, flat[2], flat[3]], for: node)
            let start = place * plan.dilations[0]
            let rest = full - start - shape[2] * step
            parts.append(
                try reader.apply(
                    "Pad", to: joined,
                    .integers([0, 0, start, 0, 0, 0, 0, rest, 0, 0]), for: node))
        }
        let sum = parts.count == 1 ? parts[0] : try reader.applyAll("Sum", to: parts, for: node)[0]
        let cut = try reader.apply(
            "Pad", to: sum,
            .integers([
                0, 0, -plan.before[0], 0, 0, 0, 0, plan.extra[0] - plan.after[0], 0, 0,
            ]), for: node)
        guard node.inputs.count > 2, let bias = node.inputs[2] else { return cut }
        let column = try reader.reshape(bias, to: [1, -1, 1, 1, 1], for: node)
        return try reader.apply("Add", to: cut, column, for: node)
    }

    /// `DeformConv`: each tap of the kernel reads the map at places of its own.
    static func readDeformed(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard let kernel = try node.tensor(at: 1), kernel.shape.rank == 4, shape.rank == 4 else {
            throw node.fail(.unfit(.kernel, [shape]))
        }
        let sizes = Array(shape.dimensions[2...])
        let windows = try ONNXWindows(
            node, kernel: Array(kernel.shape.dimensions[2...]), over: sizes)
        let counts = try windows.counts(over: sizes, roundsUp: false, node: node)
        let groups = node.integer("offset_group", or: 1)
        let taps = windows.kernel[0] * windows.kernel[1]
        guard groups > 0, shape[1] % groups == 0 else {
            throw node.fail(.division(groups, .groups, [shape[1]]))
        }
        let offsets = try reader.reshape(
            try node.value(at: 2), to: [shape[0], groups, taps, 2, counts[0], counts[1]], for: node)
        var mask: ONNXValue?
        if node.inputs.count > 4, let given = node.inputs[4] {
            mask = try reader.reshape(
                given, to: [shape[0], groups, taps, counts[0], counts[1]], for: node)
        }
        let attributes: ONNXGraph.Attributes = ["group": .integer(node.integer("group", or: 1))]
        var parts: [ONNXValue] = []
        for tap in 0..<taps {
            let (row, column) = (tap / windows.kernel[1], tap % windows.kernel[1])
            var read: [ONNXValue] = []
            for group in 0..<groups {
                let map = try reader.slice(
                    x, axis: 1, from: group * shape[1] / groups,
                    to: (group + 1) * shape[1] / groups, for: node)
                func moved(
                    along axis: Int, from place: Int, in reader: inout ONNXReader
                ) throws -> ONNXValue {
                    var part = offsets
                    for (index, element) in [(1, group), (2, tap), (3, axis)] {
                        part = try reader.slice(
                            part, axis: index, from: element, to: element + 1, for: node)
                    }
                    part = try reader.reshape(
                        part, to: [shape[0], counts[0], counts[1], 1], for: node)
                    let base = (0..<counts[axis]).map {
                        Float(
                            $0 * windows.strides[axis] - windows.before[axis]
                                + place * windows.dilations[axis])
                    }
                    let line: Shape = axis == 0 ? [1, counts[0], 1, 1] : [1, 1, counts[1], 1]
                    let at = try reader.apply(
                        "Add", to: part, .numbers(base, shape: line), for: node)
                    // (2 p + 1) / size − 1: centres of pixels at halves.
                    let size = Float(sizes[axis])
                    let scaled = try reader.apply("Mul", to: at, .number(2 / size), for: node)
                    return try reader.apply("Add", to: scaled, .number(1 / size - 1), for: node)
                }
                let (y, z) = (
                    try moved(along: 0, from: row, in: &reader),
                    try moved(along: 1, from: column, in: &reader)
                )
                let grid = try reader.concatenate([z, y], axis: 3, for: node)
                var sampled = try reader.apply(
                    "GridSample", to: map, grid, with: ["mode": "linear"], for: node)
                if let mask {
                    let factor = try reader.reshape(
                        try reader.slice(
                            try reader.slice(mask, axis: 1, from: group, to: group + 1, for: node),
                            axis: 2, from: tap, to: tap + 1, for: node),
                        to: [shape[0], 1, counts[0], counts[1]], for: node)
                    sampled = try reader.apply("Mul", to: sampled, factor, for: node)
                }
                read.append(sampled)
            }
            let weight = kernel.taking(row, axis: 2).inserting(axis: 2).taking(column, axis: 3)
                .inserting(axis: 3)
            let bias = tap == 0 && node.inputs.count > 3 ? [node.inputs[3]] : []
            parts.append(
                try reader.applyAll(
                    "Conv",
                    to: [try reader.concatenate(read, axis: 1, for: node), .constant(weight)]
                        + bias,
                    with: attributes, for: node)[0])
        }
        return parts.count == 1 ? parts[0] : try reader.applyAll("Sum", to: parts, for: node)[0]
    }
}

/// The padding of a transposed convolution, which may follow from the size of its result.
struct Transposed {
    let strides: [Int]
    let dilations: [Int]
    private let kernel: [Int]
    private(set) var before: [Int]
    private(set) var after: [Int]
    /// The elements that no window reaches, after the last.
    private(set) var extra: [Int]

    init(_ node: ONNXNode, kernel: [Int], over sizes: [Int]) throws {
        let axes = sizes.count
        let ones = [Int](repeating: 1, count: axes)
        self.kernel = kernel
        strides = node.integers("strides") ?? ones
        dilations = node.integers("dilations") ?? ones
        extra = node.integers("output_padding") ?? ones.map { _ in 0 }
        let pads = node.integers("pads") ?? [Int](repeating: 0, count: 2 * axes)
        let limit = 1...Window.maximumExtent
        guard kernel.count == axes, strides.count == axes, dilations.count == axes,
            extra.count >= axes, pads.count == 2 * axes,
            (kernel + strides + dilations).allSatisfy(limit.contains),
            (extra + pads).allSatisfy({ 0...Window.maximumExtent ~= $0 }),
            sizes.allSatisfy({ 0...Window.maximumExtent ~= $0 })
        else { throw node.fail(.unfit(.window, [Shape(sizes)])) }
        extra = Array(extra[..<axes])
        (before, after) = (Array(pads[..<axes]), Array(pads[axes...]))
        let mode = node.text("auto_pad") ?? "NOTSET"
        let isSame = mode == "SAME_UPPER" || mode == "SAME_LOWER"
        if mode == "VALID" { (before, after) = (ones.map { _ in 0 }, ones.map { _ in 0 }) }
        var wanted = node.integers("output_shape").map { Array($0.suffix(axes)) }
        if wanted == nil, isSame { wanted = zip(sizes, strides).map { $0 * $1 } }
        guard let wanted else { return }
        guard wanted.count == axes, wanted.allSatisfy(limit.contains) else {
            throw node.fail(.unfit(.outputShape, [Shape(wanted)]))
        }
        for axis in 0..<axes {
            let whole = (sizes[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
            let total = whole + extra[axis] - wanted[axis]
            if total < 0 { extra[axis] -= total }
            let cut = max(total, 0)
            before[axis] = mode == "SAME_UPPER" ? cut / 2 : cut - cut / 2
            after[axis] = cut - before[axis]
        }
    }

    /// The sizes of the result.
    func sizes(over sizes: [Int]) -> [Int] {
        sizes.indices.map { axis in
            (sizes[axis] - 1) * strides[axis] + dilations[axis] * (kernel[axis] - 1) + 1
                + extra[axis] - before[axis] - after[axis]
        }
    }

    /// The window over a map.
    func window(kernel shape: Shape) -> Window {
        Window(
            kernel: Extent(shape[2], shape[3]), stride: Extent(strides[0], strides[1]),
            dilation: Extent(dilations[0], dilations[1]),
            padding: .explicit(
                Padding(top: before[0], left: before[1], bottom: after[0], right: after[1])))
    }

    /// The attributes of a part over two of the axes; −1 is an axis of one element.
    func attributes(rows: Int, columns: Int, node: ONNXNode) -> ONNXGraph.Attributes {
        let pair = AxisPair(rows: rows, columns: columns)
        return pair.window(
            kernel: kernel, strides: strides, dilations: dilations, pads: [before, after]) + [
                "output_padding": .integers(pair.numbers(extra, or: 0)),
                "group": .integer(node.integer("group", or: 1)),
            ]
    }
}

extension Tensor {
    /// The same numbers with an axis of one element more.
    fileprivate func inserting(axis: Int) -> Tensor {
        var sizes = shape.dimensions
        sizes.insert(1, at: axis)
        return reshaped(Shape(sizes))
    }

    /// One element of an axis, which goes.
    fileprivate func taking(_ index: Int, axis: Int) -> Tensor {
        let outer = shape.dimensions[..<axis].reduce(1, *)
        let inner = shape.dimensions[(axis + 1)...].reduce(1, *)
        let values = floats
        var result: [Float] = []
        result.reserveCapacity(outer * inner)
        for row in 0..<outer {
            let start = (row * shape[axis] + index) * inner
            result += values[start..<(start + inner)]
        }
        var sizes = shape.dimensions
        sizes.remove(at: axis)
        return Tensor(result, shape: Shape(sizes))
    }
}

// ONNX operators that move axes: flattening, reshaping, transposing and enlarging.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    mutating func flatten(_ node: Onnx_NodeProto) throws {
        guard let input = node.input.first, let value = values[input] else {
            throw fail(node, "its input is missing")
        }
        var rank = 4
        if case .node(let x) = value { rank = builder.shapes[x].rank }
        guard [1, 1 - rank].contains(integer(node, "axis", 1)) else {
            throw fail(node, "it keeps more than the first axis")
        }
        switch value {
        case .node(let x) where builder.shapes[x].rank == 2: try result(node, .node(x))
        case .node(let x):
            try result(node, .node(try emit(node, .flatten(channelsLast: false), [x])))
        case .channelsLast(let x):
            try result(node, .node(try emit(node, .flatten(channelsLast: true), [x])))
        default: throw fail(node, "its input is no map")
        }
    }

    mutating func rearrange(_ node: Onnx_NodeProto) throws {
        guard let input = node.input.first, let value = values[input] else {
            throw fail(node, "its input is missing")
        }
        if node.opType == "Transpose" {
            let order = integers(node, "perm") ?? []
            switch (value, order) {
            case (.node(let x), [0, 2, 3, 1]): return try result(node, .channelsLast(x))
            case (.channelsLast(let x), [0, 3, 1, 2]): return try result(node, .node(x))
            case (.split(let x, let groups), [0, 2, 1, 3, 4]):
                return try result(node, .shuffled(x, groups: groups))
            case (.constant(let tensor), _) where order.sorted() == Array(0..<tensor.shape.rank):
                return try result(node, .constant(tensor.permuted(order)))
            default: throw fail(node, "graft cannot follow its order of axes \(order)")
            }
        }
        if node.opType == "Squeeze" || node.opType == "Unsqueeze" {
            let x = try map(node)
            let shape = builder.shapes[x]
            // Without axes, a batch of one would go too.
            let axes = try integers(node, "axes") ?? integers(node, 1) ?? [2, 3]
            switch try reshaped(node, shape, axes) {
            case shape: return try result(node, .node(x))
            case [shape[0], shape[1]]:
                return try result(
                    node, .node(try emit(node, .flatten(channelsLast: false), [x])))
            case [shape[0], shape[1], 1, 1]:
                let op = Op.reshape(channels: shape[1], height: 1, width: 1, channelsLast: false)
                return try result(node, .node(try emit(node, op, [x])))
            case let other: throw fail(node, "graft cannot give \(shape) the shape \(other)")
            }
        }
        guard var sizes = try integers(node, 1) else { throw fail(node, "its shape is computed") }
        if case .constant(let tensor) = value {
            guard Shape(sizes).checkedCount == tensor.count else {
                throw fail(node, "its shape does not fit")
            }
            return try result(node, .constant(tensor.reshaped(Shape(sizes))))
        }
        let x: Int
        switch value {
        case .node(let index), .channelsLast(let index), .split(let index, _),
            .shuffled(let index, _):
            x = index
        case .constant: return
        }
        let shape = builder.shapes[x]
        guard let total = Shape(Array(shape.dimensions.dropFirst())).checkedCount,
            let first = sizes.first, [0, 1, -1].contains(first), sizes.count <= 5
        else { throw fail(node, "graft cannot give \(shape) the shape \(Shape(sizes))") }
        sizes.removeFirst()
        for index in sizes.indices where sizes[index] == 0 && index + 1 < shape.rank {
            sizes[index] = shape[index + 1]
        }
        if let open = sizes.firstIndex(of: -1) {
            sizes[open] = 1
            guard let known = Shape(sizes).checkedCount, known > 0, total % known == 0 else {
                throw fail(node, "its shape does not fit \(shape)")
            }
            sizes[open] = total / known
        }
        guard Shape(sizes).checkedCount == total else {
            throw fail(node, "graft cannot give \(shape) the shape \(Shape(sizes))")
        }
        switch (value, sizes.count) {
        case (.node, _) where Shape([shape[0]] + sizes) == shape: try result(node, value)
        case (.node, 1):
            try result(
                node,
                shape.rank == 2
                    ? .node(x) : .node(try emit(node, .flatten(channelsLast: false), [x])))
        case (.channelsLast, 1):
            try result(node, .node(try emit(node, .flatten(channelsLast: true), [x])))
        case (.node, 3) where shape.rank == 2 && isRead(node, withOrder: [0, 3, 1, 2]):
            // (N, H, W, C), as Keras has maps: the transposition that follows makes it ours.
            let op = Op.reshape(
                channels: sizes[2], height: sizes[0], width: sizes[1], channelsLast: true)
            try result(node, .channelsLast(try emit(node, op, [x])))
        case (.node, 3) where shape.rank == 2:
            let op = Op.reshape(
                channels: sizes[0], height: sizes[1], width: sizes[2], channelsLast: false)
            try result(node, .node(try emit(node, op, [x])))
        case (.node, 4) where shape.rank == 4 && sizes[2] == shape[2] && sizes[3] == shape[3]:
            try result(node, .split(x, groups: sizes[0]))
        case (.shuffled(_, let groups), 3)
        where Shape(sizes) == Shape(Array(shape.dimensions[1...])):
            try result(node, .node(try emit(node, .channelShuffle(groups: groups), [x])))
        default: throw fail(node, "graft cannot give \(shape) the shape \(Shape(sizes))")
        }
    }

    /// Whether all that read a node's value are transpositions to this order of axes.
    private func isRead(_ node: Onnx_NodeProto, withOrder order: [Int]) -> Bool {
        guard let name = node.output.first else { return false }
        let readers = proto.node.filter { $0.input.contains(name) }
        return !readers.isEmpty
            && readers.allSatisfy {
                $0.opType == "Transpose" && integers($0, "perm") == order
            }
    }

    mutating func resize(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        let (height, width) = try factors(node, builder.shapes[x])
        let bilinear: Bool
        // Upsample, and Resize before opset 11, say nothing of centres.
        let isOld = node.opType == "Upsample" || opset < 11
        let centre =
            isOld ? "asymmetric" : text(node, "coordinate_transformation_mode") ?? "half_pixel"
        let nearest = isOld ? "floor" : text(node, "nearest_mode") ?? "round_prefer_floor"
        switch (text(node, "mode") ?? "nearest", centre, nearest) {
        case ("linear", "half_pixel", _): bilinear = true
        // The same as half pixels of maps that are larger than one pixel.
        case ("linear", "pytorch_half_pixel", _): bilinear = true
        case ("nearest", "asymmetric", "floor"): bilinear = false
        // By a whole factor no centre lies in the middle between two.
        case ("nearest", "half_pixel", "round_prefer_floor"),
            ("nearest", "half_pixel", "round_prefer_ceil"):
            bilinear = false
        case let (mode, centre, nearest):
            throw fail(
                node,
                "graft does not know the interpolation `\(mode)` of `\(centre)`, `\(nearest)`")
        }
        try result(
            node,
            .node(try emit(node, .upsample(height: height, width: width, bilinear: bilinear), [x])))
    }

    /// By how much Resize enlarges the map, from its factors or the size that it makes.
    private func factors(_ node: Onnx_NodeProto, _ shape: Shape) throws -> (Int, Int) {
        let isOld = node.opType == "Upsample" || opset < 11
        let numbers = try tensor(node, isOld ? 1 : 2)?.floats
        var scales = numbers ?? attribute(node, "scales")?.floats ?? []
        if scales.isEmpty, let sizes = try integers(node, 3), sizes.count == 4, shape.rank == 4 {
            // The batch of the file is any.
            scales = [1] + (1..<4).map { Float(sizes[$0]) / Float(shape[$0]) }
        }
        guard scales.count == 4, scales[0] == 1, scales[1] == 1,
            let height = Int(exactly: scales[2]), let width = Int(exactly: scales[3])
        else { throw fail(node, "it does not enlarge by whole factors") }
        return (height, width)
    }
}

// Maps as vectors and back, and other orders of axes, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Flatten: ExportableOp {
    var keepsIntegers: Bool { true }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let ordered =
            channelsLast
            ? graph.emit(
                "Transpose", name: site.name + ".last", inputs: [site.x],
                attributes: ["perm": [0, 2, 3, 1]]) : site.x
        return graph.emit("Flatten", name: site.name, inputs: [ordered], attributes: ["axis": 1])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        let ordered =
            channelsLast
            ? site.x : model.permuted(site.x, at: site, order: [3, 1, 2], shape: site.before)
        return model.layer("Flatten", at: site, reading: [ordered])
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let axis = node.integer("axis", or: 1)
        switch try node.value() {
        case .node(let x) where reader.shape(of: x).rank == 2 && axis == 1: return .node(x)
        case .node(let x) where reader.shape(of: x).rank == 4 && (axis == 1 || axis == -3):
            return .node(
                try reader.emit(.flatten(channelsLast: false), for: node, reading: [x]))
        case .channelsLast(let x) where axis == 1 || axis == -3:
            return .node(
                try reader.emit(.flatten(channelsLast: true), for: node, reading: [x]))
        default: return .node(try Op.View.readONNXFlatten(node, in: &reader))
        }
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        call.shape.rank == 4 ? try reader.add(.flatten(channelsLast: true), for: call) : call.x
    }
}

extension Op.Reshape: ExportableOp {
    var keepsIntegers: Bool { true }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let sizes = channelsLast ? [0, height, width, channels] : [0, channels, height, width]
        let shape = graph.constant(sizes, name: site.name + ".shape")
        guard channelsLast else { return graph.emit("Reshape", at: site, more: [shape]) }
        let last = graph.emit("Reshape", name: site.name + ".last", inputs: [site.x, shape])
        return graph.emit(
            "Transpose", name: site.name, inputs: [last], attributes: ["perm": [0, 3, 1, 2]])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        let sizes = channelsLast ? [height, width, channels] : [channels, height, width]
        let reshaped = model.layer(
            "Reshape", at: site, config: ["target_shape": .integers(sizes)])
        return channelsLast
            ? reshaped
            : model.permuted(reshaped, at: site, order: [2, 3, 1], shape: site.after)
    }

    /// A transposition to channels last or back, or that of a channel shuffle.
    static func readONNXTranspose(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let order = node.integers("perm") ?? []
        switch (try node.value(), order) {
        case (.node(let x), [0, 2, 3, 1]): return .channelsLast(x)
        case (.channelsLast(let x), [0, 3, 1, 2]): return .node(x)
        case (.split(let x, let groups), [0, 2, 1, 3, 4]): return .shuffled(x, groups: groups)
        case (.constant(let tensor), _) where order.sorted() == Array(0..<tensor.shape.rank):
            return .constant(tensor.permuted(order))
        default: return .node(try Op.Transpose.readONNX(node, in: &reader))
        }
    }

    /// `Squeeze` and `Unsqueeze`: of the axes of a map, or of any.
    static func readONNXSqueeze(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard case .node(let x) = try node.value() else {
            return .node(try Op.View.readONNXSqueeze(node, in: &reader))
        }
        let shape = reader.builder.shapes[x]
        // Without axes, a batch of one would go too.
        let axes =
            try node.integers("axes", orAt: 1)
            ?? shape.dimensions.indices.dropFirst().filter { shape[$0] == 1 }
        let target = try node.reshaped(shape, axes: axes)
        if target == shape { return .node(x) }
        if shape.rank == 4, target == [shape[0], shape[1]] {
            return .node(
                try reader.emit(.flatten(channelsLast: false), for: node, reading: [x]))
        }
        if shape.rank == 2, target == [shape[0], shape[1], 1, 1] {
            let op = Op.reshape(channels: shape[1], height: 1, width: 1, channelsLast: false)
            return .node(try reader.emit(op, for: node, reading: [x]))
        }
        return .node(try reader.emit(.view(target.dimensions), for: node, reading: [x]))
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        guard let sizes = try node.integers(at: 1) else { throw node.fail("its shape is computed") }
        let value = try node.value()
        let x: Int
        switch value {
        case .constant(let tensor):
            guard Shape(sizes).checkedCount == tensor.count else {
                throw node.fail("its shape does not fit")
            }
            return .constant(tensor.reshaped(Shape(sizes)))
        case .node(let index), .channelsLast(let index), .split(let index, _),
            .shuffled(let index, _):
            x = index
        }
        let shape = reader.builder.shapes[x]
        guard shape.rank == 4 || shape.rank == 2, let target = resolved(sizes, of: shape) else {
            return .node(try Op.View.readONNX(node, in: &reader))
        }
        switch (value, target.count) {
        case (.node, _) where Shape([shape[0]] + target) == shape: return value
        case (.node, 1) where shape.rank == 2: return value
        case (.node, 1):
            return .node(
                try reader.emit(.flatten(channelsLast: false), for: node, reading: [x]))
        case (.channelsLast, 1):
            return .node(try reader.emit(.flatten(channelsLast: true), for: node, reading: [x]))
        case (.node, 3) where shape.rank == 2 && reader.isRead(node, inOrder: [0, 3, 1, 2]):
            // (N, H, W, C), as Keras has maps: the transposition that follows makes it ours.
            let op = Op.reshape(
                channels: target[2], height: target[0], width: target[1], channelsLast: true)
            return .channelsLast(try reader.emit(op, for: node, reading: [x]))
        case (.node, 3) where shape.rank == 2:
            let op = Op.reshape(
                channels: target[0], height: target[1], width: target[2], channelsLast: false)
            return .node(try reader.emit(op, for: node, reading: [x]))
        case (.node, 4)
        where shape.rank == 4 && target[2] == shape[2] && target[3] == shape[3]:
            return .split(x, groups: target[0])
        case (.shuffled(_, let groups), 3)
        where Shape(target) == Shape(Array(shape.dimensions[1...])):
            return .node(try reader.emit(.channelShuffle(groups: groups), for: node, reading: [x]))
        default: return .node(try Op.View.readONNX(node, in: &reader))
        }
    }

    /// The sizes after the batch that `Reshape` asks for, 0 and −1 replaced; nil if it mixes the batch
    /// with others.
    private static func resolved(_ sizes: [Int], of shape: Shape) -> [Int]? {
        guard let total = Shape(Array(shape.dimensions.dropFirst())).checkedCount,
            let first = sizes.first, [0, 1, -1].contains(first), sizes.count <= 5
        else { return nil }
        var target = Array(sizes.dropFirst())
        for index in target.indices where target[index] == 0 && index + 1 < shape.rank {
            target[index] = shape[index + 1]
        }
        if let open = target.firstIndex(of: -1) {
            target[open] = 1
            guard let known = Shape(target).checkedCount, known > 0, total % known == 0 else {
                return nil
            }
            target[open] = total / known
        }
        return Shape(target).checkedCount == total ? target : nil
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let shape = call.shape
        guard var sizes = call.layer.config["target_shape"]?.array?.map({ $0.integer ?? 0 }),
            let total = Shape(Array(shape.dimensions.dropFirst())).checkedCount
        else { throw call.fail("its `target_shape` must be a shape") }
        if let open = sizes.firstIndex(of: -1) {
            sizes[open] = 1
            guard let known = Shape(sizes).checkedCount, known > 0, total % known == 0 else {
                throw call.fail("its `target_shape` does not fit \(shape)")
            }
            sizes[open] = total / known
        }
        guard Shape(sizes).checkedCount == total, sizes.count == 1 || sizes.count == 3 else {
            throw call.fail("cannot give \(shape) the shape \(Shape(sizes))")
        }
        var vector = call.x
        if shape.rank == 4 {
            vector = try reader.add(
                .flatten(channelsLast: true), for: call, suffix: sizes.count == 1 ? "" : "_flat")
        }
        guard sizes.count == 3 else { return vector }
        let op = Op.reshape(
            channels: sizes[2], height: sizes[0], width: sizes[1], channelsLast: true)
        return try reader.add(op, for: call, reading: [vector])
    }
}

extension ONNXNode {
    /// The shape that `Squeeze` or `Unsqueeze` makes of another; without axes `Squeeze` drops all of
    /// one.
    func reshaped(_ shape: Shape, axes: [Int]?) throws -> Shape {
        var dimensions = shape.dimensions
        let isSqueeze = type == "Squeeze"
        guard let axes else {
            guard isSqueeze else { throw fail("it lacks axes") }
            return Shape(dimensions.filter { $0 != 1 })
        }
        let rank = isSqueeze ? dimensions.count : dimensions.count + axes.count
        let places = Set(axes.map { $0 < 0 ? $0 + rank : $0 })
        guard places.count == axes.count, places.allSatisfy({ (0..<rank).contains($0) }),
            rank <= 8, !isSqueeze || places.allSatisfy({ dimensions[$0] == 1 })
        else { throw fail("its axes \(axes) do not fit \(shape)") }
        if isSqueeze {
            return Shape(dimensions.indices.filter { !places.contains($0) }.map { dimensions[$0] })
        }
        for place in places.sorted() { dimensions.insert(1, at: place) }
        return Shape(dimensions)
    }
}

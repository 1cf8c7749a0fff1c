// Other sizes, other orders of axes and repetition, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.Transpose: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("Transpose", at: site, attributes: ["perm": .integers(order)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("the order \(order) of axes")
    }

    /// `Permute`, which counts rows, columns and channels from 1.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let dims = call.layer.config["dims"]?.array?.compactMap(\.integer) ?? []
        // The axes of a map in Keras' order, by their places in the graph's.
        let axes = call.shape.rank == 4 ? [0, 2, 3, 1] : Array(0..<call.shape.rank)
        guard dims.sorted() == Array(1..<call.shape.rank) else {
            throw call.fail("its `dims` \(dims) do not order the axes of \(call.shape)")
        }
        var order = axes
        for (place, axis) in dims.enumerated() { order[axes[place + 1]] = axes[axis] }
        order[0] = 0
        return try reader.add(.transpose(order), for: call)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    /// `Transpose`; without an order the axes are reversed.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let order = node.integers("perm") ?? Array((0..<reader.shape(of: x).rank).reversed())
        return try reader.emit(.transpose(order), for: node, reading: [x])
    }
}

extension Op.View: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let shape = graph.constant(sizes, name: site.name + ".shape")
        return graph.emit("Reshape", at: site, more: [shape])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("a view of sizes \(sizes)")
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    /// `Reshape` to known sizes.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard var sizes = try node.integers(at: 1) else { throw node.fail("its shape is computed") }
        guard node.integer("allowzero", or: 0) == 0 || !sizes.contains(0) else {
            throw node.fail("it makes an empty value")
        }
        let x = try reader.operand(of: node)
        // A file for several images at once says how many: any number is read, one by one.
        if reader.batch > 1, sizes.first == reader.batch, reader.shape(of: x).dimensions.first == 1
        {
            sizes[0] = 1
        }
        return try reader.emit(.view(sizes), for: node, reading: [x])
    }

    /// `Flatten`: two axes, cut before `axis`.
    static func readONNXFlatten(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let axis = node.integer("axis", or: 1)
        let place = axis < 0 ? axis + shape.rank : axis
        // From axis 0 on it would join the images of a batch, which are traced one by one.
        guard (reader.feed == nil ? 1 : 0)...max(shape.rank, 1) ~= place else {
            throw node.fail("expected an axis after the batch of \(shape), found \(axis)")
        }
        let lead = shape.dimensions[..<place].reduce(1, *)
        return try reader.emit(.view([lead, -1]), for: node, reading: [x])
    }

    /// `Squeeze` and `Unsqueeze`.
    static func readONNXSqueeze(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let target = try node.reshaped(shape, axes: try node.integers("axes", orAt: 1))
        return target == shape
            ? x : try reader.emit(.view(target.dimensions), for: node, reading: [x])
    }
}

extension Op.View {
    /// `DepthToSpace`: blocks of channels become blocks of pixels, in either of its orders.
    static func readONNXDepthToSpace(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let (x, shape, block) = try blocks(node, in: &reader)
        guard shape[1] % (block * block) == 0 else {
            throw node.fail("its blocks of \(block) do not divide \(shape[1]) channels")
        }
        let channels = shape[1] / (block * block)
        let isColumnFirst = node.text("mode") == "CRD"
        let parts = try reader.emit(
            .view(
                isColumnFirst
                    ? [shape[0], channels, block, block, shape[2], shape[3]]
                    : [shape[0], block, block, channels, shape[2], shape[3]]), for: node,
            reading: [x], suffix: ".blocks")
        let turned = try reader.emit(
            .transpose(isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]), for: node,
            reading: [parts], suffix: ".turned")
        return try reader.emit(
            .view([shape[0], channels, shape[2] * block, shape[3] * block]), for: node,
            reading: [turned])
    }

    /// `SpaceToDepth`: blocks of pixels become channels, in either of its orders.
    static func readONNXSpaceToDepth(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let (x, shape, block) = try blocks(node, in: &reader)
        guard shape[2] % block == 0, shape[3] % block == 0 else {
            throw node.fail("its blocks of \(block) do not divide a map of \(shape)")
        }
        let parts = try reader.emit(
            .view([shape[0], shape[1], shape[2] / block, block, shape[3] / block, block]),
            for: node, reading: [x], suffix: ".blocks")
        let isColumnFirst = node.text("mode") == "CRD"
        let turned = try reader.emit(
            .transpose(isColumnFirst ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4]), for: node,
            reading: [parts], suffix: ".turned")
        return try reader.emit(
            .view([shape[0], shape[1] * block * block, shape[2] / block, shape[3] / block]),
            for: node, reading: [turned])
    }

    /// The map, its shape and the side of a block.
    private static func blocks(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> (x: Int, shape: Shape, block: Int) {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let block = node.integer("blocksize", or: 0)
        guard shape.rank == 4, 1...1024 ~= block else {
            throw node.fail("expected a map and blocks of 1 to 1024, found \(shape) and \(block)")
        }
        return (x, shape, block)
    }
}

extension Op.Expand: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let known = sizes.map { max($0, 1) }
        guard let place = sizes.firstIndex(of: Self.batch) else {
            let shape = graph.constant(known, name: site.name + ".shape")
            return graph.emit("Expand", at: site, more: [shape])
        }
        // The batch is read off the second value.
        let name = site.name
        let all = graph.emit("Shape", name: name + ".sizes", inputs: [site.inputs[1]])
        let first = graph.constant([0], name: name + ".first")
        let batch = graph.emit(
            "Gather", name: name + ".count", inputs: [all, first], attributes: ["axis": 0])
        var parts: [String] = []
        if place > 0 {
            parts.append(graph.constant(Array(known[..<place]), name: name + ".before"))
        }
        parts.append(batch)
        if place + 1 < known.count {
            parts.append(graph.constant(Array(known[(place + 1)...]), name: name + ".after"))
        }
        let shape = graph.emit(
            "Concat", name: name + ".shape", inputs: parts, attributes: ["axis": 0])
        return graph.emit("Expand", name: name, inputs: [site.x, shape])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("a repetition to sizes \(sizes)")
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.first ?? false }

    /// `Expand` to known sizes.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard let sizes = try node.integers(at: 1) else { throw node.fail("its shape is computed") }
        let x = try reader.operand(of: node)
        guard let target = reader.shape(of: x).broadcast(with: Shape(sizes)) else {
            throw node.fail("cannot give \(reader.shape(of: x)) the sizes \(sizes)")
        }
        return target == reader.shape(of: x)
            ? x : try reader.emit(.expand(target.dimensions), for: node, reading: [x])
    }

    /// `Tile` by known counts: axes of one element are repeated; others through an axis of their own.
    static func readONNXTile(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard let counts = try node.integers(at: 1) else {
            throw node.fail("its counts are computed")
        }
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        guard counts.count == shape.rank, counts.allSatisfy({ $0 > 0 }) else {
            throw node.fail("its counts \(counts) do not fit \(shape)")
        }
        if counts.allSatisfy({ $0 == 1 }) { return x }
        var split: [Int] = []
        var wide: [Int] = []
        var joined: [Int] = []
        for (size, count) in zip(shape.dimensions, counts) {
            let (total, overflow) = size.multipliedReportingOverflow(by: count)
            guard !overflow else { throw node.fail("its result is too large") }
            split += count == 1 ? [size] : [1, size]
            wide += count == 1 ? [size] : [count, size]
            joined.append(total)
        }
        let parts = try reader.emit(.view(split), for: node, reading: [x], suffix: ".parts")
        let repeated = try reader.emit(
            .expand(wide), for: node, reading: [parts], suffix: ".repeated")
        return try reader.emit(.view(joined), for: node, reading: [repeated])
    }
}

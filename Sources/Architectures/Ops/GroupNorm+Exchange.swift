// Normalisation of groups of channels and by neighbouring channels, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.GroupNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let weights = try graph.weights(at: site)
        let channels = site.before[1]
        if groups == channels {
            return graph.emit(
                "InstanceNormalization", at: site, more: weights,
                attributes: ["epsilon": .number(epsilon)])
        }
        // GroupNormalization with weights by channel is version 21's: one channel a group of the whole.
        let name = site.name
        let joined = graph.emit(
            "Reshape", name: name + ".groups",
            inputs: [site.x, graph.constant([0, groups, -1], name: name + ".sizes")])
        let ones = graph.constant(
            [Float](repeating: 1, count: groups), shape: [groups], name: name + ".ones")
        let zeros = graph.constant(
            [Float](repeating: 0, count: groups), shape: [groups], name: name + ".zeros")
        let normal = graph.emit(
            "InstanceNormalization", name: name + ".normal", inputs: [joined, ones, zeros],
            attributes: ["epsilon": .number(epsilon)])
        let back = graph.emit(
            "Reshape", name: name + ".back",
            inputs: [
                normal,
                graph.constant(
                    [-1] + Array(site.after.dimensions.dropFirst()), name: name + ".shape"),
            ])
        let sizes = graph.constant(
            [channels] + [Int](repeating: 1, count: site.after.rank - 2), name: name + ".channels")
        let factors = zip(weights, [".scale", ".shift"]).map { weight, suffix in
            graph.emit("Reshape", name: name + suffix, inputs: [weight, sizes])
        }
        let product = graph.emit("Mul", name: name + ".product", inputs: [back, factors[0]])
        return graph.emit("Add", name: name, inputs: [product, factors[1]])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        model.layer(
            "GroupNormalization", at: site,
            config: ["groups": .integer(groups), "axis": -1, "epsilon": .single(epsilon)],
            weights: try model.weights(of: site.node))
    }

    /// `GroupNormalization` of the channels, −1 group being one for each.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        try call.layer.requireScaleAndOffset()
        let channels = call.shape[1]
        let stated = try call.layer.integer("groups", or: 32)
        let groups = stated == -1 ? channels : stated
        guard groups > 0, channels % groups == 0 else {
            throw call.fail("its \(stated) groups do not divide \(channels) channels")
        }
        let epsilon = Float(try call.layer.number("epsilon", or: 1e-3))
        return try reader.add(.groupNorm(groups: groups, epsilon: epsilon), for: call)
    }

    /// `InstanceNormalization`.
    static func readONNXInstance(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let weights = try [1, 2].map { try node.requiredWeight(at: $0) }
        let op = Op.groupNorm(
            groups: reader.shape(of: x)[1], epsilon: node.number("epsilon", or: 1e-5))
        return try reader.emit(op, for: node, reading: [x], weights: weights)
    }

    /// `GroupNormalization`: its weights are by group before version 21, by channel from then on.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let channels = reader.shape(of: x)[1]
        let groups = node.integer("num_groups", or: 0)
        guard groups > 0, channels % groups == 0 else {
            throw node.fail("its \(groups) groups do not divide \(channels) channels")
        }
        let weights = try [1, 2].map { index -> ONNXWeight in
            let weight = try node.requiredWeight(at: index)
            guard weight.tensor.count == groups, groups != channels else { return weight }
            let floats = weight.tensor.floats
            let spread = (0..<channels).map { floats[$0 / (channels / groups)] }
            return ONNXWeight(name: weight.name, tensor: Tensor(spread, shape: [channels]))
        }
        return try reader.emit(
            .groupNorm(groups: groups, epsilon: node.number("epsilon", or: 1e-5)), for: node,
            reading: [x], weights: weights)
    }
}

extension Op.LocalResponseNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            "LRN", at: site,
            attributes: [
                "size": .integer(size), "alpha": .number(alpha), "beta": .number(beta),
                "bias": .number(bias),
            ])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("local response normalisation")
    }

    /// `LRN`.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let op = Op.localResponseNorm(
            size: node.integer("size", or: 0), alpha: node.number("alpha", or: 1e-4),
            beta: node.number("beta", or: 0.75), bias: node.number("bias", or: 1))
        return try reader.emit(op, for: node, reading: [x])
    }
}

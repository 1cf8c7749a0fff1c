// Batch normalisation in ONNX and Keras, whose `Normalization` is one with statistics alone.

import GraftNetworks
import GraftTensors

extension Op.BatchNorm: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        // How many samples Keras' Normalization saw is no part of it.
        var weights = try site.node.parameters.filter { $0.role != .count }
            .map { try graph.weight($0) }
        let channels = site.before[1]
        if !scale {
            let ones = [Float](repeating: 1, count: channels)
            weights.insert(
                graph.constant(ones, shape: [channels], name: site.name + ".ones"), at: 0)
        }
        if !shift {
            let zeros = [Float](repeating: 0, count: channels)
            weights.insert(
                graph.constant(zeros, shape: [channels], name: site.name + ".zeros"), at: 1)
        }
        return graph.emit(
            "BatchNormalization", at: site, more: weights,
            attributes: ["epsilon": .number(epsilon)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let node = site.node
        if node.parameters.map(\.role) == [.runningMean, .runningVariance, .count] {
            let statistics = try zip(["mean", "variance", "count"], node.parameters).map {
                (variable: $0, tensor: try model.tensor($1))
            }
            return model.layer(
                "Normalization", at: site,
                config: ["axis": -1, "mean": nil, "variance": nil, "invert": false],
                weights: statistics)
        }
        return model.layer(
            "BatchNormalization", at: site,
            config: [
                "axis": -1, "momentum": .number(1 - Double(momentum)),
                "epsilon": .single(epsilon), "scale": .bool(scale), "center": .bool(shift),
            ], weights: try model.weights(of: node))
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let op = Op.batchNorm(
            epsilon: node.number("epsilon", or: 1e-5),
            momentum: 1 - node.number("momentum", or: 0.9))
        let x = try reader.operand(of: node)
        return try reader.emit(
            op, for: node, reading: [x],
            weights: (1...4).map { try node.requiredWeight(at: $0) })
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try call.requireLastAxis()
        let layer = call.layer
        let shift = layer.flag("center", or: true)
        // Files that only number the variables do not say which of γ and β there is: β is usual.
        if !shift { reader.spellings["\(call.name)/gamma"] = ["gamma", "beta"] }
        let op = Op.batchNorm(
            epsilon: Float(try layer.number("epsilon", or: 1e-3)),
            momentum: Float(1 - (try layer.number("momentum", or: 0.99))),
            scale: layer.flag("scale", or: true), shift: shift)
        return try reader.add(op, for: call)
    }
}

// Sums, products, constants by channel and normalisations as steps of TFLite.

import GraftNetworks
import GraftTensors

extension Op.Add {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.chain("ADD", at: site)
    }
}

extension Op.Multiply {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.chain("MUL", at: site)
    }
}

extension Op.Affine {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        try graph.affine(scale: scale, shift: shift, at: site)
    }
}

extension Op.ChannelScale {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard let parameter = site.node.parameters.first else {
            throw site.unsupported(.noNumbers)
        }
        return try graph.affine(
            scale: try graph.numbers(of: parameter).map { Float($0) }, shift: [0], at: site)
    }
}

extension Op.BatchNorm {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        var scale = [Double](repeating: 1, count: site.before[1])
        var (shift, mean, variance) = (scale.map { _ in 0.0 }, scale.map { _ in 0.0 }, scale)
        for parameter in site.node.parameters {
            let numbers = try graph.numbers(of: parameter)
            switch parameter.role {
            case .scale: scale = numbers
            case .shift: shift = numbers
            case .runningMean: mean = numbers
            case .runningVariance: variance = numbers
            case .kernel, .depthwiseKernel, .matrix, .bias, .value, .constant, .count: continue
            }
        }
        let factors = zip(scale, variance).map { $0 / ($1 + Double(epsilon)).squareRoot() }
        let terms = zip(zip(shift, mean), factors).map { $0.0 - $0.1 * $1 }
        return try graph.affine(
            scale: factors.map { Float($0) }, shift: terms.map { Float($0) }, at: site)
    }
}

extension Op.LayerNorm {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let rank = site.before.rank
        let own = axes.map { $0 < 0 ? $0 + rank : $0 }.sorted()
        let isLast = rank == 4 && own == [1]
        guard isLast || own == Array((rank - own.count)..<rank) else {
            throw site.unsupported(.normalization(axes: own, rank: rank))
        }
        let x = try isLast ? graph.last(site.x) : graph.plain(site.x)
        var y = graph.standardized(
            x, over: isLast ? [3] : own, epsilon: epsilon, name: site.name)
        for parameter in site.node.parameters {
            let weight = try graph.weight(parameter)
            y = graph.emit(
                parameter.role == .scale ? "MUL" : "ADD", reading: [y, weight],
                shape: graph.shape(of: y),
                name: parameter.role == .scale ? site.name + "/scaled" : site.name)
        }
        return graph.result(y, isLast: isLast)
    }
}

extension Op.GroupNorm {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let shape = site.before
        guard shape.rank == 4 else { throw site.unsupported(.shape(shape)) }
        let x = try graph.last(site.x)
        let parts = graph.reshaped(
            x, to: [shape[0], shape[2] * shape[3], groups, shape[1] / groups],
            name: site.name + "/groups")
        let even = graph.standardized(parts, over: [1, 3], epsilon: epsilon, name: site.name)
        var y = graph.reshaped(even, to: site.afterLast, name: site.name + "/map")
        for parameter in site.node.parameters {
            let weight = try graph.weight(parameter)
            y = graph.emit(
                parameter.role == .scale ? "MUL" : "ADD", reading: [y, weight],
                shape: site.afterLast,
                name: parameter.role == .scale ? site.name + "/scaled" : site.name)
        }
        return [.last(y)]
    }
}

extension Op.LocalResponseNorm {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        guard size % 2 == 1, site.before.rank == 4 else {
            throw site.unsupported(.neighbours(size))
        }
        let x = try graph.last(site.x)
        let y = graph.emit(
            "LOCAL_RESPONSE_NORMALIZATION", reading: [x], shape: site.afterLast, name: site.name,
            options: ["radius": size / 2],
            numbers: ["bias": bias, "alpha": alpha / Float(size), "beta": beta])
        return [.last(y)]
    }
}

extension Op.UnitNorm {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let isMap = site.before.rank == 4
        guard isMap || site.before.rank == 2 else {
            throw site.unsupported(.shape(site.before))
        }
        let x = try graph.last(site.x)
        let y = graph.emit(
            "L2_NORMALIZATION", reading: [x], shape: site.afterLast, name: site.name)
        return graph.result(y, isLast: isMap)
    }
}

extension Op.Softmax {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        let rank = site.before.rank
        let own = axis < 0 ? axis + rank : axis
        let type = isLogarithmic ? "LOG_SOFTMAX" : "SOFTMAX"
        let numbers: [String: Float] = isLogarithmic ? [:] : ["beta": 1]
        let isLast = rank == 4 && own == 1
        let x = try isLast ? graph.last(site.x) : graph.plain(site.x)
        guard !isLast, own != rank - 1 else {
            let y = graph.emit(
                type, reading: [x], shape: graph.shape(of: x), name: site.name, numbers: numbers)
            return graph.result(y, isLast: isLast)
        }
        var order = Array(0..<rank)
        order.swapAt(own, rank - 1)
        let turned = graph.transposed(x, to: order, name: site.name + "/turned")
        let y = graph.emit(
            type, reading: [turned], shape: graph.shape(of: turned), name: site.name + "/shares",
            numbers: numbers)
        return [.plain(graph.transposed(y, to: order, name: site.name))]
    }
}

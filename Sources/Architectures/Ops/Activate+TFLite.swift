// Elementwise functions as steps of TFLite.

import GraftNetworks
import GraftTensors

extension Op.Activate {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        switch function {
        case .relu: return try graph.fused(1, orElse: "RELU", at: site)
        case .relu6: return try graph.fused(3, orElse: "RELU6", at: site)
        case .sigmoid: return try graph.unary("LOGISTIC", at: site)
        case .tanh: return try graph.unary("TANH", at: site)
        case .hardSwish: return try graph.unary("HARD_SWISH", at: site)
        case .gelu: return try graph.unary("GELU", at: site, options: ["approximate": 0])
        case .geluTanh: return try graph.unary("GELU", at: site, options: ["approximate": 1])
        case .elu: return try graph.unary("ELU", at: site)
        case .leakyReLU:
            return try graph.unary("LEAKY_RELU", at: site, numbers: ["alpha": 0.01])
        case .exponential: return try graph.unary("EXP", at: site)
        case .swish, .quickGELU, .hardSigmoid, .softplus, .mish: break
        }
        let (x, isLast) = try graph.either(site.x)
        let shape = graph.sizes(site.after, isLast: isLast)
        let name = site.name
        let y: Int
        switch function {
        case .swish:
            let gate = graph.emit("LOGISTIC", reading: [x], shape: shape, name: name + "/gate")
            y = graph.emit("MUL", reading: [x, gate], shape: shape, name: name)
        case .quickGELU:
            let scaled = graph.emit("MUL", of: x, with: 1.702, name: name + "/scaled")
            let gate = graph.emit(
                "LOGISTIC", reading: [scaled], shape: shape, name: name + "/gate")
            y = graph.emit("MUL", reading: [x, gate], shape: shape, name: name)
        case .hardSigmoid:
            let bounded = graph.emit(
                "ADD", of: x, with: 3, name: name + "/bounded", options: ["activation": 3])
            y = graph.emit("MUL", of: bounded, with: 1.0 / 6, name: name)
        case .softplus: y = graph.softplus(x, name: name)
        case .mish:
            let soft = graph.softplus(x, name: name + "/softplus")
            let gate = graph.emit("TANH", reading: [soft], shape: shape, name: name + "/gate")
            y = graph.emit("MUL", reading: [x, gate], shape: shape, name: name)
        case .relu, .relu6, .sigmoid, .tanh, .hardSwish, .gelu, .geluTanh, .elu, .leakyReLU,
            .exponential:
            throw site.unsupported(.function(function.rawValue))
        }
        return graph.result(y, isLast: isLast)
    }
}

extension TFLiteGraph {
    /// An activation as part of the step before it, else as a step.
    fileprivate mutating func fused(
        _ activation: Int, orElse type: String, at site: TFLiteSite
    ) throws -> [Value] {
        let (x, isLast) = try either(site.x)
        if fuse(activation, into: x, readBy: readers[site.x] ?? 0) {
            return result(x, isLast: isLast)
        }
        return try unary(type, at: site)
    }

    /// Adds log(1 + eˣ) as max(x, 0) + log(1 + e^−|x|), which no x overflows.
    fileprivate mutating func softplus(_ x: Int, name: String) -> Int {
        let shape = shape(of: x)
        let size = emit("ABS", reading: [x], shape: shape, name: name + "/size")
        let negative = emit("NEG", reading: [size], shape: shape, name: name + "/negative")
        let power = emit("EXP", reading: [negative], shape: shape, name: name + "/power")
        let sum = emit("ADD", of: power, with: 1, name: name + "/sum")
        let log = emit("LOG", reading: [sum], shape: shape, name: name + "/log")
        let positive = emit("RELU", reading: [x], shape: shape, name: name + "/positive")
        return emit("ADD", reading: [positive, log], shape: shape, name: name)
    }
}

extension Op.Elementwise {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        switch function {
        case .reciprocal:
            let (x, isLast) = try graph.either(site.x)
            let one = graph.constant(1, name: site.name + "/one")
            let y = graph.emit(
                "DIV", reading: [one, x], shape: graph.sizes(site.after, isLast: isLast),
                name: site.name)
            return graph.result(y, isLast: isLast)
        case .abs, .neg, .exp, .log, .sqrt, .floor, .ceil, .round, .sin, .cos, .sign:
            return try graph.unary(function.rawValue.uppercased(), at: site)
        case .erf, .tan, .asin, .acos, .atan, .sinh, .cosh, .asinh, .acosh, .atanh:
            throw site.unsupported(.function(function.rawValue))
        }
    }
}

extension Op.Binary {
    func write(at site: TFLiteSite, to graph: inout TFLiteGraph) throws -> [TFLiteGraph.Value] {
        switch function {
        case .subtract: try graph.chain("SUB", at: site)
        case .divide: try graph.chain("DIV", at: site)
        case .power: try graph.chain("POW", at: site)
        case .minimum: try graph.chain("MINIMUM", at: site)
        case .maximum: try graph.chain("MAXIMUM", at: site)
        case .modulo, .remainder: throw site.unsupported(.function(function.rawValue))
        }
    }
}

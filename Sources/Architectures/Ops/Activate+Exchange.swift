// Elementwise non-linearities in ONNX, and as layers of Keras.

import GraftNetworks
import GraftTensors

extension Op.Activate: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        switch function {
        case .relu: return graph.emit("Relu", at: site)
        case .relu6:
            let limits = [
                graph.constant(0, name: site.name + ".min"),
                graph.constant(6, name: site.name + ".max"),
            ]
            return graph.emit("Clip", at: site, more: limits)
        case .sigmoid: return graph.emit("Sigmoid", at: site)
        case .tanh: return graph.emit("Tanh", at: site)
        case .swish:
            let gate = graph.emit("Sigmoid", name: site.name + ".gate", inputs: [site.x])
            return graph.emit("Mul", at: site, more: [gate])
        case .hardSigmoid:
            return graph.emit(
                "HardSigmoid", at: site,
                attributes: ["alpha": .number(1.0 / 6), "beta": .number(0.5)])
        case .hardSwish: return graph.emit("HardSwish", at: site)
        case .gelu: return graph.emit("Gelu", at: site)
        case .geluTanh: return graph.emit("Gelu", at: site, attributes: ["approximate": "tanh"])
        case .quickGELU:
            let factor = graph.constant(1.702, name: site.name + ".factor")
            let scaled = graph.emit("Mul", name: site.name + ".scaled", inputs: [site.x, factor])
            let gate = graph.emit("Sigmoid", name: site.name + ".gate", inputs: [scaled])
            return graph.emit("Mul", at: site, more: [gate])
        case .elu: return graph.emit("Elu", at: site)
        case .leakyReLU:
            return graph.emit("LeakyRelu", at: site, attributes: ["alpha": .number(0.01)])
        case .exponential: return graph.emit("Exp", at: site)
        case .softplus: return graph.emit("Softplus", at: site)
        case .mish: return graph.emit("Mish", at: site)
        }
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let name: JSONTree
        switch function {
        case .quickGELU: throw site.unsupported("the activation x · sigmoid(1.702 x)")
        case .relu6: return model.layer("ReLU", at: site, config: ["max_value": 6])
        case .leakyReLU:
            return model.layer(
                "LeakyReLU", at: site, config: ["negative_slope": .number(0.01)])
        case .geluTanh:
            // `Activation("gelu")` is the exact one.
            name = [
                "module": "keras.activations", "class_name": "function", "config": "gelu_tanh",
                "registered_name": "gelu_tanh",
            ]
        case .relu: name = "relu"
        case .sigmoid: name = "sigmoid"
        case .tanh: name = "tanh"
        case .swish: name = "silu"
        case .hardSigmoid: name = "hard_sigmoid"
        case .hardSwish: name = "hard_silu"
        case .gelu: name = "gelu"
        case .elu: name = "elu"
        case .exponential: name = "exponential"
        case .softplus: name = "softplus"
        case .mish: name = "mish"
        }
        return model.layer("Activation", at: site, config: ["activation": name])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool {
        [.relu, .relu6, .sigmoid, .hardSigmoid].contains(function)
    }

    // MARK: ONNX operators with constants of their own

    static func readONNXGelu(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let function: Activation = node.text("approximate") == "tanh" ? .geluTanh : .gelu
        let x = try reader.operand(of: node)
        return try reader.emit(.activation(function), for: node, reading: [x])
    }

    static func readONNXElu(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let name = reader.name(of: node)
        let x = try reader.operand(of: node)
        return try reader.builder.elu(
            x, below: node.number("alpha", or: 1), above: 1, name: name)
    }

    static func readONNXSelu(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let name = reader.name(of: node)
        let gamma = node.number("gamma", or: 1.050701)
        let x = try reader.operand(of: node)
        return try reader.builder.elu(
            x, below: gamma * node.number("alpha", or: 1.6732632), above: gamma,
            name: name)
    }

    static func readONNXHardSigmoid(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let name = reader.name(of: node)
        let alpha = node.number("alpha", or: 0.2)
        let beta = node.number("beta", or: 0.5)
        if abs(alpha - 1.0 / 6) < 1e-6, beta == 0.5 {
            return try reader.emit(.activation(.hardSigmoid), for: node, reading: [x])
        }
        let sloped = try reader.emit(
            .affine(scale: [alpha], shift: [beta]), for: node, reading: [x], suffix: ".sloped")
        return try reader.builder.clipped(sloped, from: 0, to: 1, name: name)
    }

    static func readONNXLeakyRelu(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let name = reader.name(of: node)
        let alpha = node.number("alpha", or: 0.01)
        let x = try reader.operand(of: node)
        return try reader.builder.leaky(
            x, slope: abs(alpha - 0.01) < 1e-7 ? 0.01 : alpha, name: name)
    }

    /// The largest bound that is written as a rectifier between two lines.
    private static let longestLine: Float = 64

    /// `Clip`: floats by a rectifier, others by a maximum and a minimum.
    static func readONNXClip(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let value = try node.value()
        var low = try node.tensor(at: 1)?.floats.first ?? node.number("min", or: -.infinity)
        var high = try node.tensor(at: 2)?.floats.first ?? node.number("max", or: .infinity)
        // Exporters write the ends of a type's range where there is no bound.
        let limit = Float.greatestFiniteMagnitude
        if low <= -limit { low = -.infinity }
        if high >= limit { high = .infinity }
        // A rectifier between two lines has the digits that its bounds leave.
        let ends = [low, high].filter(\.isFinite)
        guard reader.element(of: value).isFloatingPoint, low < high,
            ends.allSatisfy({ abs($0) <= longestLine })
        else {
            var result = value
            for (type, bound) in [("Max", low), ("Min", high)] where bound.isFinite {
                result = try reader.apply(type, to: result, .number(bound), for: node)
            }
            return result
        }
        let x = try reader.operand(of: node)
        return .node(
            try reader.builder.clipped(x, from: low, to: high, name: reader.name(of: node)))
    }
}

// What each Keras activation is in a graph, by itself or in a layer that carries it.

import GraftNetworks
import GraftTensors

extension KerasReader {
    /// The activation that a layer carries.
    mutating func activated(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, suffix: String = "_activation"
    ) throws -> Int {
        let setting = layer.config["activation"] ?? .null
        // Keras 3 writes functions that have no short name as objects.
        let function = setting.string ?? setting["config"]?.string ?? setting["class_name"]?.string
        guard let function, setting != .null else { return x }
        let name = name + suffix
        func add(_ activation: Activation) throws -> Int {
            try builder.add(.activation(activation), name: name, inputs: [x])
        }
        switch function {
        case "linear": return x
        case "softmax": return try builder.add(.softmax, name: name, inputs: [x])
        case "relu": return try add(.relu)
        case "relu6": return try add(.relu6)
        case "sigmoid": return try add(.sigmoid)
        case "tanh": return try add(.tanh)
        case "swish", "silu": return try add(.swish)
        case "hard_swish", "hard_silu": return try add(.hardSwish)
        case "gelu": return try add(.gelu)
        case "gelu_tanh": return try add(.geluTanh)
        case "elu": return try add(.elu)
        case "exponential": return try add(.exponential)
        case "softplus": return try add(.softplus)
        case "mish": return try add(.mish)
        // λ α elu(x) below 0, λ x above (arXiv:1706.02515).
        case "selu":
            let (lambda, alpha): (Float, Float) = (1.050701, 1.6732632)
            return try builder.elu(name, x, below: lambda * alpha, above: lambda)
        case "leaky_relu": return try builder.leaky(name, x, 0.2)
        case "hard_tanh": return try builder.clipped(name, x, from: -1, to: 1)
        case "hard_sigmoid":
            if isKeras3 { return try add(.hardSigmoid) }
            // Keras 2: clip(0.2 x + 0.5, 0, 1).
            let sloped = try builder.add(
                .affine(scale: [0.2], shift: [0.5]), name: name + "_sloped", inputs: [x])
            return try builder.clipped(name, sloped, from: 0, to: 1)
        default: throw layer.fail("graft does not know the activation `\(function)`")
        }
    }

    /// An activation that is a layer of its own.
    mutating func rectifier(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, _ shape: Shape
    ) throws -> Int {
        switch layer.kind {
        case "Softmax":
            try layer.requireLastAxis(shape.rank)
            return try builder.add(.softmax, name: name, inputs: [x])
        case "ELU":
            let alpha = Float(try layer.number("alpha", 1))
            return try builder.elu(name, x, below: alpha, above: 1)
        case "PReLU": return try parametric(layer, name, x, shape)
        case "LeakyReLU":
            let slope = try layer.number("negative_slope", try layer.number("alpha", 0.3))
            return try builder.leaky(name, x, Float(slope))
        default:
            let slope = Float(try layer.number("negative_slope", 0))
            guard try layer.number("threshold", 0) == 0 else {
                throw layer.fail("its threshold is not 0")
            }
            guard let limit = layer.config["max_value"]?.scalar.map({ Float($0) }) else {
                return try builder.leaky(name, x, slope)
            }
            guard limit > 0 else { throw layer.fail("its maximum is \(limit)") }
            if slope == 0 { return try builder.clipped(name, x, from: 0, to: limit) }
            let above = try builder.clipped(name + "_above", x, from: 0, to: limit)
            // slope · (x − relu(x)) below 0.
            let below = try builder.bent(
                .relu, name + "_below", x, linear: slope, above: -slope)
            return try builder.add(.add, name: name, inputs: [above, below])
        }
    }

    /// A learned slope for each channel.
    private mutating func parametric(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, _ shape: Shape
    ) throws -> Int {
        let shared = layer.config["shared_axes"]?.array?.compactMap(\.integer) ?? []
        guard shape.rank == 2 || Set(shared) == [1, 2] else {
            throw layer.fail("its slopes are not one for each channel: set `shared_axes=[1, 2]`")
        }
        let (value, slopes) = try builder.parametric(name, x)
        if let parameter = builder.nodes[slopes].parameters.first {
            renames[parameter.name] = "\(name)/alpha"
        }
        return value
    }
}

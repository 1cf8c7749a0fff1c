// Elementwise non-linearities as Keras has them: layers, functions, and settings of other layers.

import GraftNetworks
import GraftTensors

extension Op.Activate {
    /// `Activation`.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try reader.activated(call, reading: call.x, suffix: "")
    }

    static func readKerasELU(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let alpha = Float(try call.layer.number("alpha", or: 1))
        return try reader.builder.elu(call.x, below: alpha, above: 1, name: call.name)
    }

    static func readKerasLeakyReLU(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let usual = try call.layer.number("alpha", or: 0.3)
        let slope = Float(try call.layer.number("negative_slope", or: usual))
        return try reader.builder.leaky(call.x, slope: slope, name: call.name)
    }

    /// `ReLU` with a slope below 0 and a limit above.
    static func readKerasReLU(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let x = call.x
        let name = call.name
        let slope = Float(try call.layer.number("negative_slope", or: 0))
        guard try call.layer.number("threshold", or: 0) == 0 else {
            throw call.fail("its threshold is not 0")
        }
        guard let limit = call.layer.config["max_value"]?.scalar.map({ Float($0) }) else {
            return try reader.builder.leaky(x, slope: slope, name: name)
        }
        guard limit > 0 else { throw call.fail("its maximum is \(limit)") }
        if slope == 0 { return try reader.builder.clipped(x, from: 0, to: limit, name: name) }
        let above = try reader.builder.clipped(x, from: 0, to: limit, name: name + "_above")
        // slope · (x − relu(x)) below 0.
        let below = try reader.builder.bent(
            x, by: .relu, linear: slope, above: -slope, name: name + "_below")
        return try reader.add(.add, for: call, reading: [above, below])
    }

    /// The functions `clip` and `clip_by_value`.
    static func readKerasClip(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let low = call.bound(["clip_value_min", "x_min", "min_value"], or: -.infinity)
        let high = call.bound(["clip_value_max", "x_max", "max_value"], or: .infinity)
        guard low < high else { throw call.fail("it clips to \(low) … \(high)") }
        return try reader.builder.clipped(call.x, from: low, to: high, name: call.name)
    }

    /// The function `leaky_relu`.
    static func readKerasLeakyFunction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        let slope = call.setting("alpha") ?? call.setting("negative_slope")
        return try reader.builder.leaky(
            call.x, slope: Float(slope?.scalar ?? 0.2), name: call.name)
    }

    /// The function `gelu`: Keras 3 approximates by default, TensorFlow does not.
    static func readKerasGelu(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let approximates = call.setting("approximate")?.bool ?? (call.layer.kind == "Gelu")
        return try reader.add(.activation(approximates ? .geluTanh : .gelu), for: call)
    }
}

extension KerasReader {
    /// The activations that are one operation of the graph.
    private static let activations: [String: Op] = [
        "elu": .activation(.elu),
        "exponential": .activation(.exponential),
        "gelu": .activation(.gelu),
        "gelu_tanh": .activation(.geluTanh),
        "hard_silu": .activation(.hardSwish),
        "hard_swish": .activation(.hardSwish),
        "mish": .activation(.mish),
        "relu": .activation(.relu),
        "relu6": .activation(.relu6),
        "sigmoid": .activation(.sigmoid),
        "silu": .activation(.swish),
        "softmax": .softmax,
        "softplus": .activation(.softplus),
        "swish": .activation(.swish),
        "tanh": .activation(.tanh),
    ]

    /// The activation that a layer carries, of node `x`.
    mutating func activated(
        _ call: KerasCall, reading x: Int, suffix: String = "_activation"
    ) throws -> Int {
        let setting = call.layer.config["activation"] ?? .null
        // Keras 3 writes functions that have no short name as objects.
        let function = setting.string ?? setting["config"]?.string ?? setting["class_name"]?.string
        guard let function, setting != .null else { return x }
        return try activated(call, function: function, reading: x, suffix: suffix)
    }

    /// The activation of this name, of node `x`.
    mutating func activated(
        _ call: KerasCall, function: String, reading x: Int, suffix: String
    ) throws -> Int {
        if let op = Self.activations[function] {
            return try add(op, for: call, suffix: suffix, reading: [x])
        }
        let name = call.name + suffix
        switch function {
        case "linear": return x
        // λ α elu(x) below 0, λ x above (arXiv:1706.02515).
        case "selu":
            let lambda: Float = 1.050701
            return try builder.elu(x, below: lambda * 1.6732632, above: lambda, name: name)
        case "leaky_relu": return try builder.leaky(x, slope: 0.2, name: name)
        case "hard_tanh": return try builder.clipped(x, from: -1, to: 1, name: name)
        case "hard_sigmoid" where isKeras3:
            return try add(.activation(.hardSigmoid), for: call, suffix: suffix, reading: [x])
        case "hard_sigmoid":
            // Keras 2: clip(0.2 x + 0.5, 0, 1).
            let sloped = try add(
                .affine(scale: [0.2], shift: [0.5]), for: call, suffix: suffix + "_sloped",
                reading: [x])
            return try builder.clipped(sloped, from: 0, to: 1, name: name)
        default: throw call.fail("graft does not know the activation `\(function)`")
        }
    }
}

// TensorFlow's and Keras' functions on tensors, which a configuration holds as names and constants.

import GraftNetworks

/// The readers of functions: the table by the names that ``name(of:hasConstants:)`` makes.
enum KerasFunctions {
    /// Adds a call of a function to the graph; returns the node of its value, or nil where the
    /// arguments are others than those that graft knows.
    typealias Reading = @Sendable (KerasCall, inout KerasReader) throws -> Int?

    /// A function of Keras 3 or TensorFlow by one name; nil for a layer.
    static func name(of layer: KerasLayerConfig, hasConstants: Bool) -> String? {
        switch layer.kind {
        case "TFOpLambda", "SlicingOpLambda":
            var name = layer.config["function"]?.string ?? layer.name
            for prefix in [
                "tf.", "math.", "nn.", "__operators__.", "compat.v1.", "keras.activations.",
            ]
            where name.hasPrefix(prefix) {
                name.removeFirst(prefix.count)
            }
            return name
        // The layers `Maximum` and `Minimum` read values alone.
        case "Add", "Subtract", "Multiply", "Divide":
            return hasConstants ? layer.kind.lowercased() : nil
        case let kind where classes.contains(kind): return KerasExport.snake(kind)
        default: return nil
        }
    }

    /// Keras 3's operations that models hold as layers.
    private static let classes: Set<String> = [
        "Absolute", "Amax", "Cast", "Ceil", "Clip", "ConvertToTensor", "Elu", "Exp", "ExpandDims",
        "Flip", "Floor",
        "Gelu",
        "GetItem", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "Log", "Max", "Maximum",
        "Mean",
        "Minimum", "Mish", "Negative", "Power", "Relu", "Relu6", "Resize", "Selu", "Sigmoid",
        "Silu", "Softplus", "Sqrt", "Square", "Stack", "StopGradient", "Tanh", "TrueDivide",
    ]

    /// A function that does nothing when a model answers.
    private static let passing: Reading = { call, _ in call.x }

    /// A function that is an activation of this name.
    private static func activation(_ name: String) -> Reading {
        { call, reader in
            try reader.activated(call, function: name, reading: call.x, suffix: "")
        }
    }

    /// A function of each number.
    private static func elementwise(_ function: Op.Elementwise.Function) -> Reading {
        { call, reader in try reader.add(.elementwise(function), for: call) }
    }

    /// A function of two operands, of which one may be a constant.
    private static func binary(_ function: KerasBinary) -> Reading {
        { call, reader in
            guard call.operands.count == 2 else { return nil }
            return try reader.binary(function, of: call)
        }
    }

    static let all: [String: Reading] = [
        "abs": elementwise(.abs),
        "absolute": elementwise(.abs),
        "add": binary(.add),
        "amax": Op.GlobalMaxPool.readKerasReduction,
        "bias_add": binary(.biasAdd),
        "cast": Op.Affine.readKerasCast,
        "ceil": elementwise(.ceil),
        "clip": Op.Activate.readKerasClip,
        "clip_by_value": Op.Activate.readKerasClip,
        "concat": Op.Concatenate.readKerasFunction,
        "concatenate": Op.Concatenate.readKerasFunction,
        "convert_to_tensor": passing,
        "div": binary(.divide),
        "divide": binary(.divide),
        "elu": activation("elu"),
        "exp": activation("exponential"),
        "expand_dims": Op.Concatenate.readKerasExpansion,
        "flip": Op.Slice.readKerasFlip,
        "floor": elementwise(.floor),
        "gelu": Op.Activate.readKerasGelu,
        "get_item": Op.Slice.readKerasItem,
        "getitem": Op.Slice.readKerasItem,
        "hard_sigmoid": activation("hard_sigmoid"),
        "hard_silu": activation("hard_silu"),
        "hard_tanh": activation("hard_tanh"),
        "identity": passing,
        "image.resize": Op.Resize.readKerasFunction,
        "l2_normalize": Op.UnitNorm.readKerasFunction,
        "leaky_relu": Op.Activate.readKerasLeakyFunction,
        "log": elementwise(.log),
        "max": Op.GlobalMaxPool.readKerasReduction,
        "maximum": binary(.maximum),
        "mean": Op.GlobalAveragePool.readKerasReduction,
        "minimum": binary(.minimum),
        "mish": activation("mish"),
        "mul": binary(.multiply),
        "multiply": binary(.multiply),
        "neg": Op.Affine.readKerasNegative,
        "negative": Op.Affine.readKerasNegative,
        "pow": Op.Multiply.readKerasPower,
        "power": Op.Multiply.readKerasPower,
        "reduce_max": Op.GlobalMaxPool.readKerasReduction,
        "reduce_mean": Op.GlobalAveragePool.readKerasReduction,
        "relu": activation("relu"),
        "relu6": activation("relu6"),
        "resize": Op.Resize.readKerasFunction,
        "reverse": Op.Slice.readKerasFlip,
        "selu": activation("selu"),
        "sigmoid": activation("sigmoid"),
        "silu": activation("silu"),
        "softmax": Op.Softmax.readKerasFunction,
        "softplus": activation("softplus"),
        "sqrt": elementwise(.sqrt),
        "square": Op.Multiply.readKerasSquare,
        "stack": Op.Concatenate.readKerasStack,
        "stop_gradient": passing,
        "strided_slice": Op.Slice.readKerasItem,
        "sub": binary(.subtract),
        "subtract": binary(.subtract),
        "swish": activation("swish"),
        "tanh": activation("tanh"),
        "true_divide": binary(.divide),
        "truediv": binary(.divide),
    ]
}

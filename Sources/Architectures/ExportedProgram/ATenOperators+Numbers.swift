// Arithmetic, activations, products and normalisations of ATen.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    static let numbers: [String: ATenOperator] = [
        "add.Scalar": .value { try sum($0, sign: 1, in: &$1) },
        "add.Tensor": .value { try sum($0, sign: 1, in: &$1) },
        "sub.Scalar": .value { try sum($0, sign: -1, in: &$1) },
        "sub.Tensor": .value { try sum($0, sign: -1, in: &$1) },
        "rsub.Scalar": .value { call, reader in
            let inputs = try reader.operands(call)
            return reader.draft.emit("Sub", name: call.path, inputs: inputs.reversed())
        },
        "div.Scalar": .value { try quotient($0, in: &$1) },
        "div.Tensor": .value { try quotient($0, in: &$1) },
        "div.Tensor_mode": .value(rounded),
        "div.Scalar_mode": .value(rounded),
        "floor_divide.default": .value(rounded),
        "ne.Scalar": .value(unequal), "ne.Tensor": .value(unequal),
        "pow.Scalar": .value { call, reader in
            let name = try call.tensor("exponent")
            let y = try reader.value(name, for: call)
            let isReal = reader.isReal(name) || !call.isInteger("self")
            let x = try reader.constant(
                try reader.number(call, argument: "self"), isReal: isReal, for: call)
            return reader.draft.emit("Pow", name: call.path, inputs: [x, y])
        },
        "pow.Tensor_Scalar": .value { call, reader in
            let name = try call.tensor("self")
            let x = try reader.value(name, for: call)
            let exponent = try reader.number(call, argument: "exponent")
            if exponent == 2 {
                return reader.draft.emit("Mul", name: call.path, inputs: [x, x])
            }
            let y = try reader.constant(exponent, isReal: true, for: call)
            return reader.draft.emit("Pow", name: call.path, inputs: [x, y])
        },
        "square.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit("Mul", name: call.path, inputs: [x, x])
        },
        "rsqrt.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            let root = reader.draft.emit("Sqrt", name: call.path + ".root", inputs: [x])
            return reader.draft.emit("Reciprocal", name: call.path, inputs: [root])
        },
        "silu.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            let gate = reader.draft.emit("Sigmoid", name: call.path + ".gate", inputs: [x])
            return reader.draft.emit("Mul", name: call.path, inputs: [x, gate])
        },
        "glu.default": .value { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            let axis = try call.axis(try call.integer("dim", in: reader) ?? -1, rank: rank)
            let x = try reader.value(name, for: call)
            let half = try reader.shape(of: name, for: call)[axis] / 2
            let sizes = reader.draft.constant([half, half], name: call.path + ".sizes")
            let parts = reader.draft.emit(
                "Split", name: call.path + ".halves", inputs: [x, sizes],
                attributes: ["axis": .integer(axis)], valueCount: 2)
            let gate = reader.draft.emit("Sigmoid", name: call.path + ".gate", inputs: [parts[1]])
            return reader.draft.emit("Mul", name: call.path, inputs: [parts[0], gate])
        },
        "gelu.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit(
                "Gelu", name: call.path, inputs: [x],
                attributes: ["approximate": .text(call.text("approximate") ?? "none")])
        },
        "leaky_relu.default": .value {
            try sloped("LeakyRelu", by: "negative_slope", or: 0.01, of: $0, in: &$1)
        },
        "elu.default": .value { try sloped("Elu", by: "alpha", or: 1, of: $0, in: &$1) },
        "hardsigmoid.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit(
                "HardSigmoid", name: call.path, inputs: [x],
                attributes: ["alpha": .number(1.0 / 6), "beta": .number(0.5)])
        },
        "relu6.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.clip(x, to: 0...6, name: call.path)
        },
        "hardtanh.default": .value {
            try bounded($0, low: "min_val", high: "max_val", usual: -1...1, in: &$1)
        },
        "clamp.default": .value {
            try bounded($0, low: "min", high: "max", usual: -.infinity...(.infinity), in: &$1)
        },
        "clamp_min.default": .value {
            try bounded($0, low: "min", high: "", usual: -.infinity...(.infinity), in: &$1)
        },
        "clamp_max.default": .value {
            try bounded($0, low: "", high: "max", usual: -.infinity...(.infinity), in: &$1)
        },
        "prelu.default": .value { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            let slopes = try call.tensor("weight")
            let count = try reader.shape(of: slopes, for: call).reduce(1, *)
            let sizes = [count] + [Int](repeating: 1, count: max(rank - 2, 0))
            let slope = try reader.reshaped(slopes, to: sizes, for: call)
            return reader.draft.emit(
                "PRelu", name: call.path, inputs: [try reader.value(name, for: call), slope])
        },
        "softmax.int": .value { try shares("Softmax", of: $0, in: &$1) },
        "_softmax.default": .value { try shares("Softmax", of: $0, in: &$1) },
        "log_softmax.int": .value { try shares("LogSoftmax", of: $0, in: &$1) },
        "_log_softmax.default": .value { try shares("LogSoftmax", of: $0, in: &$1) },
        "linear.default": .value(linear),
        "addmm.default": .value { call, reader in
            let inputs = try ["mat1", "mat2", "self"].map {
                try reader.value(try call.tensor($0), for: call)
            }
            return reader.draft.emit("Gemm", name: call.path, inputs: inputs)
        },
        "matmul.default": .value { try product($0, of: ["self", "other"], in: &$1) },
        "mm.default": .value { try product($0, of: ["self", "mat2"], in: &$1) },
        "bmm.default": .value { try product($0, of: ["self", "mat2"], in: &$1) },
        "outer.default": .value { call, reader in
            let (a, b) = (try call.tensor("self"), try call.tensor("vec2"))
            let rows = try reader.shape(of: a, for: call)[0]
            let x = reader.view(
                try reader.value(a, for: call), from: [rows], to: [rows, 1],
                name: call.path + ".column")
            return reader.draft.emit(
                "Mul", name: call.path, inputs: [x, try reader.value(b, for: call)])
        },
        "einsum.default": .value { call, reader in
            let inputs = try call.tensors("tensors").map { name in
                guard let name else { throw call.fail(.readsNothing) }
                return try reader.value(name, for: call)
            }
            return reader.draft.emit(
                "Einsum", name: call.path, inputs: inputs,
                attributes: ["equation": .text(call.text("equation") ?? "")])
        },
        "scaled_dot_product_attention.default": .value(attention),
        "batch_norm.default": .value(batchNorm),
        "_native_batch_norm_legit_no_training.default": .value(batchNorm),
        "layer_norm.default": .value { call, reader in
            let name = try call.tensor("input")
            let sizes = try call.integers("normalized_shape", in: reader) ?? []
            let x = try reader.value(name, for: call)
            let ones = try reader.filled(call, argument: "weight", with: 1, shape: sizes)
            let zeros = try reader.filled(call, argument: "bias", with: 0, shape: sizes)
            return reader.draft.emit(
                "LayerNormalization", name: call.path, inputs: [x, ones, zeros],
                attributes: [
                    "axis": .integer(-sizes.count),
                    "epsilon": .number(Float(call.number("eps") ?? 1e-5)),
                ])
        },
        "group_norm.default": .value { call, reader in
            return reader.draft.emit(
                "GroupNormalization", name: call.path, inputs: try normal(call, in: &reader),
                attributes: [
                    "num_groups": .integer(try call.integer("num_groups", in: reader) ?? 1),
                    "epsilon": .number(Float(call.number("eps") ?? 1e-5)),
                ])
        },
        "instance_norm.default": .value { call, reader in
            guard call.flag("use_input_stats", or: true) else {
                return try batchNorm(call, in: &reader)
            }
            return reader.draft.emit(
                "InstanceNormalization", name: call.path, inputs: try normal(call, in: &reader),
                attributes: ["epsilon": .number(Float(call.number("eps") ?? 1e-5))])
        },
        "linalg_vector_norm.default": .value { call, reader in
            let order = call.number("ord") ?? 2
            guard order == 2 || order == 1 else { throw call.fail(.norm(order)) }
            return try reduced(order == 2 ? "ReduceL2" : "ReduceL1", of: call, in: &reader)
        },
    ]

    /// The input of a normalisation, and its weights by channel.
    private static func normal(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> [String] {
        let name = try call.tensor("input")
        let channels = try reader.channels(of: name, for: call)
        return [
            try reader.value(name, for: call),
            try reader.filled(call, argument: "weight", with: 1, shape: [channels]),
            try reader.filled(call, argument: "bias", with: 0, shape: [channels]),
        ]
    }

    private static func sum(
        _ call: ATenCall, sign: Double, in reader: inout ATenReader
    ) throws -> String {
        var inputs = try reader.operands(call)
        let alpha = call.number("alpha") ?? 1
        if alpha != 1 {
            let name = try call.tensor("self")
            let factor = try reader.constant(
                alpha, isReal: reader.isReal(name), for: call)
            inputs[1] = reader.draft.emit(
                "Mul", name: call.path + ".scaled", inputs: [inputs[1], factor])
        }
        return reader.draft.emit(sign > 0 ? "Add" : "Sub", name: call.path, inputs: inputs)
    }

    private static func quotient(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let inputs = try reader.operands(call, real: true)
        return reader.draft.emit("Div", name: call.path, inputs: inputs)
    }

    /// A quotient without what follows the point.
    private static func rounded(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let mode = call.operator.hasPrefix("floor") ? "floor" : call.text("rounding_mode")
        let inputs = try reader.operands(call, real: true)
        let share = reader.draft.emit("Div", name: call.path + ".quotient", inputs: inputs)
        guard let mode else { return share }
        guard mode == "floor" else { throw call.fail(.mode(mode)) }
        let floor = reader.draft.emit("Floor", name: call.path, inputs: [share])
        return reader.isReal(name) ? floor : reader.cast(floor, to: 7, name: call.path)
    }

    private static func unequal(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let inputs = try reader.operands(call)
        let equal = reader.draft.emit("Equal", name: call.path + ".equal", inputs: inputs)
        return reader.draft.emit("Not", name: call.path, inputs: [equal])
    }

    private static func sloped(
        _ type: String, by setting: String, or usual: Double, of call: ATenCall,
        in reader: inout ATenReader
    ) throws -> String {
        let x = try reader.value(try call.tensor("self"), for: call)
        for name in ["scale", "input_scale"] where call.number(name) ?? 1 != 1 {
            throw call.fail(.factor(name))
        }
        return reader.draft.emit(
            type, name: call.path, inputs: [x],
            attributes: ["alpha": .number(Float(call.number(setting) ?? usual))])
    }

    private static func bounded(
        _ call: ATenCall, low: String, high: String, usual: ClosedRange<Float>,
        in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let x = try reader.value(name, for: call)
        let lower = call.number(low).map { Float($0) } ?? usual.lowerBound
        let upper = call.number(high).map { Float($0) } ?? usual.upperBound
        guard lower <= upper else { throw call.fail(.bounds(lower, upper)) }
        guard !reader.isReal(name) else {
            return reader.draft.clip(x, to: lower...upper, name: call.path)
        }
        var result = x
        for (type, bound) in [("Max", lower), ("Min", upper)] where bound.isFinite {
            let number = try reader.constant(Double(bound), isReal: false, for: call)
            result = reader.draft.emit(
                type, name: "\(call.path).\(type)", inputs: [result, number])
        }
        return result
    }

    private static func shares(
        _ type: String, of call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let rank = try reader.shape(of: name, for: call).count
        let axis = try call.axis(try call.integer("dim", in: reader) ?? -1, rank: rank)
        return reader.draft.emit(
            type, name: call.path, inputs: [try reader.value(name, for: call)],
            attributes: ["axis": .integer(axis)])
    }

    private static func product(
        _ call: ATenCall, of names: [String], in reader: inout ATenReader
    ) throws -> String {
        let inputs = try names.map { try reader.value(try call.tensor($0), for: call) }
        return reader.draft.emit("MatMul", name: call.path, inputs: inputs)
    }

    private static func linear(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("input")
        let matrix = try call.tensor("weight")
        let x = try reader.value(name, for: call)
        let bias = try call.optionalTensor("bias").map { try reader.value($0, for: call) }
        if try reader.shape(of: name, for: call).count == 2 {
            let weight = try reader.value(matrix, for: call)
            return reader.draft.emit(
                "Gemm", name: call.path, inputs: [x, weight] + (bias.map { [$0] } ?? []),
                attributes: ["transB": 1])
        }
        let weight = try reader.transposed(matrix, for: call)
        guard let bias else {
            return reader.draft.emit("MatMul", name: call.path, inputs: [x, weight])
        }
        let y = reader.draft.emit("MatMul", name: call.path + ".product", inputs: [x, weight])
        return reader.draft.emit("Add", name: call.path, inputs: [y, bias])
    }

    /// softmax(q kᵀ · scale + mask) v.
    private static func attention(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let query = try call.tensor("query")
        let width = try reader.shape(of: query, for: call).last ?? 1
        guard !call.flag("is_causal"), !call.flag("enable_gqa") else {
            throw call.fail(.attention)
        }
        let q = try reader.value(query, for: call)
        let k = try reader.transposed(try call.tensor("key"), for: call)
        let v = try reader.value(try call.tensor("value"), for: call)
        let scale = reader.draft.constant(
            Float(call.number("scale") ?? 1 / Double(max(width, 1)).squareRoot()),
            name: call.path + ".scale")
        let scores = reader.draft.emit("MatMul", name: call.path + ".scores", inputs: [q, k])
        var scaled = reader.draft.emit(
            "Mul", name: call.path + ".scaled", inputs: [scores, scale])
        if let mask = call.optionalTensor("attn_mask") {
            let own = try reader.value(mask, for: call)
            if reader.isReal(mask) {
                scaled = reader.draft.emit(
                    "Add", name: call.path + ".masked", inputs: [scaled, own])
            } else {
                let bounds = [0, -Float.greatestFiniteMagnitude].map {
                    reader.draft.constant($0, name: call.path + ".bound")
                }
                let term = reader.draft.emit(
                    "Where", name: call.path + ".mask", inputs: [own] + bounds)
                scaled = reader.draft.emit(
                    "Add", name: call.path + ".masked", inputs: [scaled, term])
            }
        }
        let shares = reader.draft.emit(
            "Softmax", name: call.path + ".shares", inputs: [scaled], attributes: ["axis": -1])
        return reader.draft.emit("MatMul", name: call.path, inputs: [shares, v])
    }

    private static func batchNorm(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("input")
        let channels = try reader.channels(of: name, for: call)
        let isTraining = call.flag("training")
        let inputs = [
            try reader.value(name, for: call),
            try reader.filled(call, argument: "weight", with: 1, shape: [channels]),
            try reader.filled(call, argument: "bias", with: 0, shape: [channels]),
            try reader.filled(call, argument: "running_mean", with: 0, shape: [channels]),
            try reader.filled(call, argument: "running_var", with: 1, shape: [channels]),
        ]
        return reader.draft.emit(
            "BatchNormalization", name: call.path, inputs: inputs,
            attributes: [
                "epsilon": .number(Float(call.number("eps") ?? 1e-5)),
                "training_mode": .integer(isTraining ? 1 : 0),
            ])
    }
}

extension ATenReader {
    /// The number of channels of a value: its axis 1.
    func channels(of name: String, for call: ATenCall) throws -> Int {
        let shape = try shape(of: name, for: call)
        guard shape.count > 1 else { throw call.fail(.noChannels(name)) }
        return shape[1]
    }

    /// A weight of a call; where it is left out, numbers that do nothing.
    mutating func filled(
        _ call: ATenCall, argument name: String, with number: Float, shape: [Int]
    ) throws -> String {
        if let tensor = call.optionalTensor(name) { return try value(tensor, for: call) }
        guard let count = Shape(shape).checkedCount, count <= ONNXConstants.maximumCount else {
            throw call.fail(.large(shape))
        }
        return draft.constant(
            Tensor([Float](repeating: number, count: count), shape: Shape(shape)),
            name: "\(call.path).\(name)")
    }
}

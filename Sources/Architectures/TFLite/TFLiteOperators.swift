// What each TFLite operator is in a graph: the table that a reader of files follows.

internal import GraftSchemas
import GraftTensors

/// The readers of TFLite operators.
enum TFLiteOperator {
    /// Writes a step down.
    typealias Row = @Sendable (TFLiteCall, inout TFLiteReader) throws -> Void

    /// Those of the schema that graft has.
    static let all: [String: Row] = simple.merging(written) { $1 }

    /// Those of other programs: MediaPipe's transposed convolution with bias.
    static let custom: [String: Row] = [
        "Convolution2DTransposeBias": { try readTransposedConvolution($0, bias: 2, in: &$1) }
    ]

    /// An operator of ONNX that works element by element.
    private static func same(_ type: String, count: Int) -> Row {
        { try $1.elementwise(type, of: $0, at: Array(0..<count)) }
    }

    /// Operators that ONNX has under another name.
    private static let simple: [String: Row] = [
        "ABS": same("Abs", count: 1), "CEIL": same("Ceil", count: 1),
        "COS": same("Cos", count: 1), "ELU": same("Elu", count: 1),
        "EXP": same("Exp", count: 1), "FLOOR": same("Floor", count: 1),
        "HARD_SWISH": same("HardSwish", count: 1), "LOG": same("Log", count: 1),
        "LOGICAL_NOT": same("Not", count: 1), "LOGISTIC": same("Sigmoid", count: 1),
        "NEG": same("Neg", count: 1), "RELU": same("Relu", count: 1),
        "ROUND": same("Round", count: 1), "SIGN": same("Sign", count: 1),
        "SIN": same("Sin", count: 1), "SQRT": same("Sqrt", count: 1),
        "TANH": same("Tanh", count: 1),
        "ADD": same("Add", count: 2), "DIV": same("Div", count: 2),
        "EQUAL": same("Equal", count: 2), "FLOOR_MOD": same("Mod", count: 2),
        "GREATER": same("Greater", count: 2), "GREATER_EQUAL": same("GreaterOrEqual", count: 2),
        "LESS": same("Less", count: 2), "LESS_EQUAL": same("LessOrEqual", count: 2),
        "LOGICAL_AND": same("And", count: 2), "LOGICAL_OR": same("Or", count: 2),
        "MAXIMUM": same("Max", count: 2), "MINIMUM": same("Min", count: 2),
        "MUL": same("Mul", count: 2), "POW": same("Pow", count: 2),
        "PRELU": same("PRelu", count: 2), "SUB": same("Sub", count: 2),
        "SELECT": same("Where", count: 3), "SELECT_V2": same("Where", count: 3),
    ]

    private static let written: [String: Row] = [
        "ADD_N": { try $1.elementwise("Sum", of: $0) },
        "ARG_MAX": { try readArgument("ArgMax", of: $0, in: &$1) },
        "ARG_MIN": { try readArgument("ArgMin", of: $0, in: &$1) },
        "AVERAGE_POOL_2D": { try readPool("AveragePool", of: $0, in: &$1) },
        "BATCH_MATMUL": readProduct,
        "BROADCAST_TO": readBroadcast,
        "CAST": readCast,
        "CONCATENATION": readConcatenation,
        "CONV_2D": readConvolution,
        "DENSIFY": { call, reader in
            reader.alias(try call.output(), of: try call.input())
        },
        "DEPTHWISE_CONV_2D": readDepthwise,
        "DEPTH_TO_SPACE": { try readBlocks("DepthToSpace", of: $0, in: &$1) },
        "DEQUANTIZE": { call, reader in
            reader.alias(try call.output(), of: try call.input())
        },
        "EXPAND_DIMS": { try $1.reshape($0) },
        "FLOOR_DIV": readFloorDivision,
        "FULLY_CONNECTED": readFullyConnected,
        "GATHER": readGather,
        "GELU": { call, reader in
            try reader.elementwise(
                "Gelu", of: call,
                attributes: ["approximate": .text(call.flag("approximate") ? "tanh" : "none")])
        },
        "L2_NORMALIZATION": readUnitNorm,
        "LEAKY_RELU": { call, reader in
            try reader.elementwise(
                "LeakyRelu", of: call, attributes: ["alpha": .number(call.number("alpha"))])
        },
        "LOCAL_RESPONSE_NORMALIZATION": readResponseNorm,
        "LOG_SOFTMAX": { try readSoftmax("LogSoftmax", of: $0, in: &$1) },
        "MAX_POOL_2D": { try readPool("MaxPool", of: $0, in: &$1) },
        "MEAN": { try readReduction("ReduceMean", of: $0, in: &$1) },
        "MIRROR_PAD": readPad,
        "NOT_EQUAL": { call, reader in
            let operands = try reader.operands(call, at: [0, 1])
            let equal = reader.draft.emit(
                "Equal", name: call.name + ".equal", inputs: operands.names)
            let x = reader.draft.emit("Not", name: call.name, inputs: [equal])
            try reader.finish(x, isFirst: operands.isFirst, movesOnly: true, for: call)
        },
        "PACK": readPack,
        "PAD": readPad,
        "PADV2": readPad,
        "QUANTIZE": readQuantization,
        "REDUCE_MAX": { try readReduction("ReduceMax", of: $0, in: &$1) },
        "REDUCE_MIN": { try readReduction("ReduceMin", of: $0, in: &$1) },
        "REDUCE_PROD": { try readReduction("ReduceProd", of: $0, in: &$1) },
        "RELU6": { try readBounded(0...6, of: $0, in: &$1) },
        "RELU_0_TO_1": { try readBounded(0...1, of: $0, in: &$1) },
        "RELU_N1_TO_1": { try readBounded(-1...1, of: $0, in: &$1) },
        "RESHAPE": { try $1.reshape($0) },
        "RESIZE_BILINEAR": { try readResize("linear", of: $0, in: &$1) },
        "RESIZE_NEAREST_NEIGHBOR": { try readResize("nearest", of: $0, in: &$1) },
        "RSQRT": { call, reader in
            let operands = try reader.operands(call)
            let root = reader.draft.emit(
                "Sqrt", name: call.name + ".root", inputs: operands.names)
            let x = reader.draft.emit("Reciprocal", name: call.name, inputs: [root])
            try reader.finish(x, isFirst: operands.isFirst, for: call)
        },
        "SHAPE": readShape,
        "SLICE": readSlice,
        "SOFTMAX": { try readSoftmax("Softmax", of: $0, in: &$1) },
        "SPACE_TO_DEPTH": { try readBlocks("SpaceToDepth", of: $0, in: &$1) },
        "SPLIT": readSplit,
        "SPLIT_V": readSplit,
        "SQUARE": { call, reader in
            let operands = try reader.operands(call)
            let x = reader.draft.emit("Mul", name: call.name, inputs: [operands.x, operands.x])
            try reader.finish(x, isFirst: operands.isFirst, for: call)
        },
        "SQUARED_DIFFERENCE": { call, reader in
            let operands = try reader.operands(call, at: [0, 1])
            let difference = reader.draft.emit(
                "Sub", name: call.name + ".difference", inputs: operands.names)
            let x = reader.draft.emit("Mul", name: call.name, inputs: [difference, difference])
            try reader.finish(x, isFirst: operands.isFirst, for: call)
        },
        "SQUEEZE": { try $1.reshape($0) },
        "STRIDED_SLICE": readStridedSlice,
        "SUM": { try readReduction("ReduceSum", of: $0, in: &$1) },
        "TILE": readTile,
        "TOPK_V2": readTopK,
        "TRANSPOSE": readTranspose,
        "TRANSPOSE_CONV": { try readTransposedConvolution($0, in: &$1) },
        "UNPACK": readUnpack,
    ]
}

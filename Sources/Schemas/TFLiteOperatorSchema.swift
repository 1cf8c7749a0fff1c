// The operators of TensorFlow Lite: their numbers, and the settings that each has in its file.

/// The settings of an operator in the schema.
package struct TFLiteOperatorSchema: Sendable {
    /// The type of a setting and what it is where the file leaves it out.
    package enum Kind: Sendable {
        case byte
        case integer(usual: Int)
        case flag
        case number
        case list
    }

    /// The number of the table of settings; 0 if the operator has none.
    package var table: UInt8
    /// The settings: the number of the field, the name, the type.
    package var fields: [(number: Int, name: String, kind: Kind)]

    /// The names of the operators, in the order of their numbers.
    package static let names = """
        ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE
        DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION
        L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL
        RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH
        CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
        UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE
        MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
        BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE
        BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
        GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE
        TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT
        REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
        REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
        RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE
        CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG
        QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4
        NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
        PLACEHOLDER CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
        HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
        CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
        RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU
        DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
        UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
        """.split(whereSeparator: \.isWhitespace).map(String.init)

    /// The number of each operator.
    package static let codes = Dictionary(
        uniqueKeysWithValues: names.enumerated().map { ($1, $0) })

    /// The operator of settings without a table.
    static let none = TFLiteOperatorSchema(table: 0, fields: [])

    /// The settings of an operator.
    package static func of(_ name: String) -> TFLiteOperatorSchema { all[name] ?? none }

    private static let zero = Kind.integer(usual: 0)
    private static let one = Kind.integer(usual: 1)
    private static let activation = (number: 0, name: "activation", kind: Kind.byte)
    private static let pool = TFLiteOperatorSchema(
        table: 5,
        fields: [
            (0, "padding", .byte), (1, "stride_w", zero), (2, "stride_h", zero),
            (3, "filter_w", zero), (4, "filter_h", zero), (5, "activation", .byte),
        ])
    private static let reducer = TFLiteOperatorSchema(table: 27, fields: [(0, "keep_dims", .flag)])

    private static let all: [String: TFLiteOperatorSchema] = [
        "ADD": .init(table: 11, fields: [activation]),
        "ARG_MAX": .init(table: 40, fields: [(0, "type", .byte)]),
        "ARG_MIN": .init(table: 57, fields: [(0, "type", .byte)]),
        "AVERAGE_POOL_2D": pool,
        "BATCH_MATMUL": .init(table: 101, fields: [(0, "adj_x", .flag), (1, "adj_y", .flag)]),
        "CAST": .init(table: 37, fields: [(0, "from", .byte), (1, "to", .byte)]),
        "CONCATENATION": .init(table: 10, fields: [(0, "axis", zero), (1, "activation", .byte)]),
        "CONV_2D": .init(
            table: 1,
            fields: [
                (0, "padding", .byte), (1, "stride_w", zero), (2, "stride_h", zero),
                (3, "activation", .byte), (4, "dilation_w", one), (5, "dilation_h", one),
            ]),
        "CUMSUM": .init(table: 102, fields: [(0, "exclusive", .flag), (1, "reverse", .flag)]),
        "DEPTHWISE_CONV_2D": .init(
            table: 2,
            fields: [
                (0, "padding", .byte), (1, "stride_w", zero), (2, "stride_h", zero),
                (3, "multiplier", zero), (4, "activation", .byte), (5, "dilation_w", one),
                (6, "dilation_h", one),
            ]),
        "DEPTH_TO_SPACE": .init(table: 94, fields: [(0, "block_size", zero)]),
        "DIV": .init(table: 29, fields: [activation]),
        "FULLY_CONNECTED": .init(
            table: 8,
            fields: [activation, (1, "weights_format", .byte), (2, "keep_num_dims", .flag)]),
        "GATHER": .init(table: 23, fields: [(0, "axis", zero), (1, "batch_dims", zero)]),
        "GELU": .init(table: 116, fields: [(0, "approximate", .flag)]),
        "L2_NORMALIZATION": .init(table: 12, fields: [activation]),
        "LEAKY_RELU": .init(table: 75, fields: [(0, "alpha", .number)]),
        "LOCAL_RESPONSE_NORMALIZATION": .init(
            table: 13,
            fields: [
                (0, "radius", zero), (1, "bias", .number), (2, "alpha", .number),
                (3, "beta", .number),
            ]),
        "MAX_POOL_2D": pool,
        "MEAN": reducer,
        "MIRROR_PAD": .init(table: 77, fields: [(0, "mode", .byte)]),
        "MUL": .init(table: 21, fields: [activation]),
        "ONE_HOT": .init(table: 61, fields: [(0, "axis", zero)]),
        "PACK": .init(table: 59, fields: [(0, "count", zero), (1, "axis", zero)]),
        "REDUCE_MAX": reducer,
        "REDUCE_MIN": reducer,
        "REDUCE_PROD": reducer,
        "RESHAPE": .init(table: 17, fields: [(0, "shape", .list)]),
        "RESIZE_BILINEAR": .init(
            table: 15, fields: [(2, "align_corners", .flag), (3, "half_pixel_centers", .flag)]),
        "RESIZE_NEAREST_NEIGHBOR": .init(
            table: 74, fields: [(0, "align_corners", .flag), (1, "half_pixel_centers", .flag)]),
        "SOFTMAX": .init(table: 9, fields: [(0, "beta", .number)]),
        "SPACE_TO_DEPTH": .init(table: 19, fields: [(0, "block_size", zero)]),
        "SPLIT": .init(table: 35, fields: [(0, "count", zero)]),
        "SPLIT_V": .init(table: 79, fields: [(0, "count", zero)]),
        "SQUEEZE": .init(table: 30, fields: [(0, "axes", .list)]),
        "STRIDED_SLICE": .init(
            table: 32,
            fields: [
                (0, "begin_mask", zero), (1, "end_mask", zero), (2, "ellipsis_mask", zero),
                (3, "new_axis_mask", zero), (4, "shrink_axis_mask", zero), (5, "offset", .flag),
            ]),
        "SUB": .init(table: 28, fields: [activation]),
        "SUM": reducer,
        "TRANSPOSE_CONV": .init(
            table: 49,
            fields: [
                (0, "padding", .byte), (1, "stride_w", zero), (2, "stride_h", zero),
                (3, "activation", .byte),
            ]),
        "UNPACK": .init(table: 64, fields: [(0, "count", zero), (1, "axis", zero)]),
    ]
}

// What each ONNX operator is in a graph: the table that a reader of files follows.

import GraftNetworks

/// The reader of an ONNX operator.
struct ONNXOperator: Sendable {
    /// Whether it can read values whose axes are in another order than the graph's.
    var followsAxes = false
    /// Adds a node of the file to the graph; returns its values in order.
    let read: @Sendable (ONNXNode, inout ONNXReader) throws -> [ONNXValue]

    /// An operator of several values.
    static func values(
        _ read: @escaping @Sendable (ONNXNode, inout ONNXReader) throws -> [ONNXValue]
    ) -> ONNXOperator {
        ONNXOperator(read: read)
    }

    /// An operator whose value may have other axes than the graph's, or be a constant.
    static func value(
        _ read: @escaping @Sendable (ONNXNode, inout ONNXReader) throws -> ONNXValue
    ) -> ONNXOperator {
        ONNXOperator(followsAxes: true) { node, reader in [try read(node, &reader)] }
    }

    /// An operator whose value is that of a node of the graph.
    static func node(
        _ read: @escaping @Sendable (ONNXNode, inout ONNXReader) throws -> Int
    ) -> ONNXOperator {
        ONNXOperator(read: { node, reader in [.node(try read(node, &reader))] })
    }

    /// An operator that is an operation of the graph without settings.
    static func unary(_ op: Op) -> ONNXOperator {
        .node { node, reader in
            let x = try reader.operand(of: node)
            return try reader.emit(op, for: node, reading: [x])
        }
    }

    /// An operator that does nothing when a model answers.
    static let passing = value { node, _ in try node.value() }

    /// Every operator that is read, by its name in ai.onnx; those of numbers that are known are
    /// evaluated before this is asked (``ONNXConstants``).
    static let all: [String: ONNXOperator] =
        [
            named, Op.Elementwise.operators, ONNXLogic.operators, ONNXFunctions.operators,
            ONNXNorms.operators, ONNXMovements.operators, ONNXConstants.rows,
            ONNXQuantization.operators,
        ].reduce(into: [:]) { $0.merge($1) { row, _ in row } }

    /// The rows of a file that is run on tensors: integers are computed as such.
    static let exact: [String: ONNXOperator] = all.merging(ONNXExactQuantization.operators) {
        _, row in row
    }

    private static let named: [String: ONNXOperator] = [
        "Add": .node(Op.Add.readONNX),
        "AffineGrid": .value(Op.GridSample.readONNXAffineGrid),
        "Attention": .values(ONNXAttention.read),
        "AveragePool": .node(Op.PoolAxes.readONNXAverage),
        "CausalConvWithState": .values(ONNXAttention.readCausalConvolution),
        "Clip": .value(Op.Activate.readONNXClip),
        "Col2Im": .value(Op.PoolAxes.readONNXBlocks),
        "Concat": .node(Op.Concatenate.readONNX),
        "Conv": .value(ONNXConvolutions.read),
        "ConvTranspose": .value(ONNXConvolutions.readTransposed),
        "CumProd": .node { try Op.Cumulate.readONNX(.product, of: $0, in: &$1) },
        "CumSum": .node { try Op.Cumulate.readONNX(.sum, of: $0, in: &$1) },
        "DeformConv": .value(ONNXConvolutions.readDeformed),
        "DepthToSpace": .node(Op.View.readONNXDepthToSpace),
        "DequantizeLinear": .values {
            [try ONNXQuantization.readDequantization($0, in: &$1)]
        },
        "Dropout": .values(Op.Dropout.readONNX),
        "Einsum": .value(ONNXEinsum.read),
        "Elu": .node(Op.Activate.readONNXElu),
        "Exp": .unary(.activation(.exponential)),
        "Expand": .node(Op.Expand.readONNX),
        "ai.onnx.preview.FlexAttention": .value(ONNXAttention.readFlexible),
        "Flatten": .value(Op.Flatten.readONNX),
        "GRU": .values { try ONNXRecurrence.read(.gated, of: $0, in: &$1) },
        "Gather": .node(Op.Take.readONNX),
        "GatherElements": .node(Op.GatherElements.readONNX),
        "GatherND": .node(Op.GatherND.readONNX),
        "Gelu": .node(Op.Activate.readONNXGelu),
        "Gemm": .node(Op.Linear.readONNX),
        "GridSample": .node(Op.GridSample.readONNX),
        "GroupNormalization": .node(Op.GroupNorm.readONNX),
        "HardSigmoid": .node(Op.Activate.readONNXHardSigmoid),
        "HardSwish": .unary(.activation(.hardSwish)),
        "Identity": passing,
        "If": .values(ONNXControl.readCondition),
        "InstanceNormalization": .node(Op.GroupNorm.readONNXInstance),
        "LRN": .node(Op.LocalResponseNorm.readONNX),
        "LSTM": .values { try ONNXRecurrence.read(.memory, of: $0, in: &$1) },
        "LeakyRelu": .node(Op.Activate.readONNXLeakyRelu),
        "LogSoftmax": .node(Op.Softmax.readONNX),
        "LinearAttention": .values(ONNXAttention.readLinear),
        "Loop": .values(ONNXControl.readLoop),
        "LpPool": .value(Op.PoolAxes.readONNXNorm),
        "MatMul": .node(Op.Linear.readONNX),
        "Max": .node { try Op.Binary.readONNX(.maximum, $0, in: &$1) },
        "MaxPool": .values(Op.PoolAxes.readONNXMaximum),
        "MaxUnpool": .value(Op.PoolAxes.readONNXUnpooling),
        "Mean": .node(Op.Add.readONNXMean),
        "Min": .node { try Op.Binary.readONNX(.minimum, $0, in: &$1) },
        "Mish": .unary(.activation(.mish)),
        "Mul": .node(Op.Multiply.readONNX),
        "NegativeLogLikelihoodLoss": .value(ONNXLosses.readLikelihood),
        "Pad": .node(Op.Pad.readONNX),
        "Pow": .node(Op.Binary.readONNXPower),
        "RNN": .values { try ONNXRecurrence.read(.simple, of: $0, in: &$1) },
        "ReduceL1": .node { try Op.Reduce.readONNX(.sum, of: .abs, then: nil, $0, in: &$1) },
        "ReduceL2": .node {
            try Op.Reduce.readONNX(.sum, of: nil, squared: true, then: .sqrt, $0, in: &$1)
        },
        "ReduceLogSum": .node { try Op.Reduce.readONNX(.sum, of: nil, then: .log, $0, in: &$1) },
        "ReduceLogSumExp": .node {
            try Op.Reduce.readONNX(.sum, of: .exp, then: .log, $0, in: &$1)
        },
        "QuantizeLinear": .values { [try ONNXQuantization.readQuantization($0, in: &$1)] },
        "ReduceMax": .node(Op.GlobalMaxPool.readONNXReduction),
        "ReduceMean": .node(Op.GlobalAveragePool.readONNXReduction),
        "ReduceMin": .node { try Op.Reduce.readONNX(.minimum, $0, in: &$1) },
        "ReduceProd": .node { try Op.Reduce.readONNX(.product, $0, in: &$1) },
        "ReduceSum": .node { try Op.Reduce.readONNX(.sum, $0, in: &$1) },
        "ReduceSumSquare": .node {
            try Op.Reduce.readONNX(.sum, of: nil, squared: true, then: nil, $0, in: &$1)
        },
        "Relu": .unary(.activation(.relu)),
        "Reshape": .value(Op.Reshape.readONNX),
        "Resize": .value(Op.Upsample.readONNX),
        "RoiAlign": .node(Op.RoIAlign.readONNX),
        "RotaryEmbedding": .value(ONNXAttention.readRotary),
        "Scan": .values(ONNXControl.readScan),
        "Scatter": .node(Op.ScatterElements.readONNX),
        "ScatterElements": .node(Op.ScatterElements.readONNX),
        "ScatterND": .node(Op.ScatterND.readONNX),
        "Selu": .node(Op.Activate.readONNXSelu),
        "Sigmoid": .unary(.activation(.sigmoid)),
        "Slice": .value(Op.Slice.readONNX),
        "Softmax": .node(Op.Softmax.readONNX),
        "SoftmaxCrossEntropyLoss": .values(ONNXLosses.readEntropy),
        "Softplus": .unary(.activation(.softplus)),
        "SpaceToDepth": .node(Op.View.readONNXSpaceToDepth),
        "Split": .values(Op.Slice.readONNXSplit),
        "Squeeze": .value(Op.Reshape.readONNXSqueeze),
        "Sub": .node(Op.Add.readONNXSubtraction),
        "Sum": .node(Op.Add.readONNXSum),
        "Tanh": .unary(.activation(.tanh)),
        "TensorScatter": .value(ONNXAttention.readCacheUpdate),
        "Tile": .node(Op.Expand.readONNXTile),
        "TopK": .values(Op.TopK.readONNX),
        "Transpose": .value(Op.Reshape.readONNXTranspose),
        "Unsqueeze": .value(Op.Reshape.readONNXSqueeze),
        "Upsample": .value(Op.Upsample.readONNX),
    ]
}

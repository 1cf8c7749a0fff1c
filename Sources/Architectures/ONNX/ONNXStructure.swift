// The inputs of ONNX operators that decide sizes or are weights: a graph holds them as numbers.

/// The inputs that an operator must know before its value has a size.
enum ONNXStructure {
    /// The inputs of a node that must be numbers.
    static func inputs(of node: ONNXNode) -> [Int] {
        guard let list = named[node.key] else { return [] }
        switch list {
        case .places(let places): return places
        case .from(let first):
            return first < node.inputs.count ? Array(first..<node.inputs.count) : []
        }
    }

    private enum Places {
        /// These.
        case places([Int])
        /// This one and all that follow.
        case from(Int)
    }

    private static let named: [String: Places] = {
        var table: [String: Places] = [
            // Sizes, axes, amounts and counts.
            "AffineGrid": .places([1]), "CenterCropPad": .places([1]), "Clip": .places([1, 2]),
            "Col2Im": .places([1, 2]), "ConstantOfShape": .places([0]), "CumProd": .places([1]),
            "CumSum": .places([1]), "Dropout": .places([1, 2]), "Expand": .places([1]),
            "MaxUnpool": .places([2]), "OneHot": .places([1]), "Pad": .places([1, 2, 3]),
            "Range": .from(0), "Reshape": .places([1]), "Resize": .places([1, 2, 3]),
            "Slice": .from(1), "Split": .places([1]), "Squeeze": .places([1]),
            "Tile": .places([1]), "TopK": .places([1]), "Trilu": .places([1]),
            "Unsqueeze": .places([1]), "Upsample": .places([1]),
            // Values whose numbers decide sizes.
            "BitCast": .from(0), "Compress": .from(0), "Det": .from(0), "If": .places([0]),
            "Loop": .places([0, 1]), "NonMaxSuppression": .from(0), "NonZero": .from(0),
            "ReverseSequence": .places([1]), "TensorScatter": .places([2]), "Unique": .from(0),
            // Weights.
            "BatchNormalization": .from(1), "CausalConvWithState": .places([1, 2]),
            "Conv": .from(1), "ConvInteger": .from(1),
            "ConvTranspose": .from(1), "DeformConv": .places([1, 3]),
            "DequantizeLinear": .from(1), "GRU": .places([1, 2, 3, 4]),
            "GroupNormalization": .from(1), "InstanceNormalization": .from(1),
            "LSTM": .places([1, 2, 3, 4, 7]), "LayerNormalization": .from(1),
            "MatMulInteger": .from(2), "PRelu": .places([1]),
            "QLinearConv": .from(1), "QLinearMatMul": .places([1, 2, 4, 5, 6, 7]),
            "QuantizeLinear": .from(1), "RNN": .places([1, 2, 3, 4]),
            "NegativeLogLikelihoodLoss": .places([2]), "SoftmaxCrossEntropyLoss": .places([2]),
        ]
        for name in [
            "L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare",
        ] {
            table["Reduce" + name] = .places([1])
        }
        return table
    }()
}

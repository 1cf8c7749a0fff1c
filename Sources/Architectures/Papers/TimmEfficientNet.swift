// EfficientNet V1 and V2, MobileNet V2 and V3, MnasNet as timm has them: one builder, one naming.

import GraftNetworks

/// timm's networks of inverted residuals. `tf` ones have TensorFlow's padding and ε = 1e-3.
struct TimmEfficientNet: Blueprint {
    let stages: [[Row]]
    /// Multiplies channels.
    var width: Float = 1
    /// Multiplies repeats.
    var depth: Double = 1
    var stem = 32
    /// Channels of the embedding.
    var embedding = 1280
    var activation = Activation.swish
    var dropout: Float = 0.2
    var tf = false
    /// Whether channels are never rounded up again (EfficientNetV2's small ones).
    var roundsDown = false
    /// Whether stem and embedding keep their width, and the first and last stage their depth.
    var fixed = false
    /// MobileNetV3: the embedding's convolution comes after the mean; gates are hard and as wide as
    /// the expansion says.
    var isMobileNetV3 = false
    var naming: Naming { .torch }

    /// What a block is made of: depthwise separable, inverted residual, fused ("edge") residual,
    /// one convolution.
    enum Kind { case separable, inverted, edge, plain }

    /// Blocks of a stage, as timm's own strings order them.
    struct Row {
        var kind: Kind
        var repeats: Int
        var kernel: Int
        var stride: Int
        var expansion: Float
        var outputs: Int
        var se: Bool
        /// ReLU whatever the others have.
        var relu: Bool

        init(
            _ kind: Kind, _ repeats: Int, k kernel: Int, s stride: Int, e expansion: Float,
            _ outputs: Int, se: Bool = false, relu: Bool = false
        ) {
            (self.kind, self.repeats, self.kernel, self.stride) = (kind, repeats, kernel, stride)
            (self.expansion, self.outputs, self.se, self.relu) = (expansion, outputs, se, relu)
        }

        /// A row of EfficientNet's tables; what is not expanded has blocks of its own.
        init(_ row: MBConvRow, gated: Bool = true) {
            let isNarrow = row.expansion == 1
            let kind: Kind =
                row.fused ? (isNarrow ? .plain : .edge) : (isNarrow ? .separable : .inverted)
            self.init(
                kind, row.repeats, k: row.kernel, s: row.stride, e: Float(row.expansion),
                row.outputs, se: gated && row.squeeze > 0)
        }
    }

    struct Block {
        var row: Row
        var stage: Int
        var index: Int
        var stride: Int
        var inputs: Int
        var outputs: Int
    }

    private func rounded(_ channels: Float) -> Int {
        roundsDown
            ? EfficientNetTable.nearest(channels, times: width) : divisible(channels * width)
    }

    private var stemWidth: Int { fixed ? stem : rounded(Float(stem)) }

    var blocks: [Block] {
        var inputs = stemWidth
        var blocks: [Block] = []
        for (stage, rows) in stages.enumerated() {
            var index = 0
            for row in rows {
                let outputs = rounded(Float(row.outputs))
                let keeps = fixed && (stage == 0 || stage == stages.count - 1)
                let repeats = Int((Double(row.repeats) * (keeps ? 1 : depth)).rounded(.up))
                for number in 0..<repeats {
                    blocks.append(
                        Block(
                            row: row, stage: stage, index: index,
                            stride: number == 0 ? row.stride : 1, inputs: inputs, outputs: outputs))
                    inputs = outputs
                    index += 1
                }
            }
        }
        return blocks
    }

    var backbone: [any Layer] {
        Stage("stem") {
            convolution("conv_stem", stemWidth, kernel: 3, stride: 2)
            normalise("bn1")
            Activate(activation, "bn1.act")
        }
        for block in blocks {
            Stage("blocks.\(block.stage)") {
                Scope("blocks.\(block.stage).\(block.index)") { residual(block) }
            }
        }
        if !isMobileNetV3 {
            Stage("conv_head") {
                convolution(
                    "conv_head", fixed ? embedding : rounded(Float(embedding)), kernel: 1)
                normalise("bn2")
                Activate(activation, "bn2.act")
            }
        }
    }
    var neck: [any Layer] {
        if isMobileNetV3 {
            Stage("conv_head") {
                GlobalAveragePool("global_pool", keepsDimensions: true)
                Conv2d("conv_head", embedding, kernel: 1, bias: true)
                Activate(activation, "act2")
                Flatten("flatten")
            }
        } else {
            GlobalAveragePool("global_pool")
        }
    }
    func head(classes: Int) -> [any Layer] {
        Dropout("dropout", rate: dropout)
        Linear("classifier", classes)
    }

    @LayerBuilder
    private func residual(_ block: Block) -> [any Layer] {
        // timm's single convolutions of MobileNetV3 keep no shortcut.
        let adds =
            block.stride == 1 && block.inputs == block.outputs
            && !(isMobileNetV3 && block.row.kind == .plain)
        if adds {
            Add("add") {
                Sequential { convolutions(block) }
                Sequential {}
            }
        } else {
            convolutions(block)
        }
    }

    @LayerBuilder
    private func convolutions(_ block: Block) -> [any Layer] {
        let row = block.row
        let act = row.relu ? Activation.relu : activation
        let width = divisible(Float(block.inputs) * row.expansion)
        switch row.kind {
        case .separable:
            depthwise(row, block.stride)
            normalise("bn1")
            Activate(act, "bn1.act")
            if row.se { gate(block.inputs, of: block.inputs, act) }
            convolution("conv_pw", block.outputs, kernel: 1)
            normalise("bn2")
        case .inverted:
            convolution("conv_pw", width, kernel: 1)
            normalise("bn1")
            Activate(act, "bn1.act")
            depthwise(row, block.stride)
            normalise("bn2")
            Activate(act, "bn2.act")
            if row.se { gate(block.inputs, of: width, act) }
            convolution("conv_pwl", block.outputs, kernel: 1)
            normalise("bn3")
        case .edge:
            convolution("conv_exp", width, kernel: row.kernel, stride: block.stride)
            normalise("bn1")
            Activate(act, "bn1.act")
            convolution("conv_pwl", block.outputs, kernel: 1)
            normalise("bn2")
        case .plain:
            convolution("conv", block.outputs, kernel: row.kernel, stride: block.stride)
            normalise("bn1")
            Activate(act, "bn1.act")
        }
    }

    /// A quarter of the block's inputs; in MobileNetV3 of what they were expanded to.
    private func gate(_ inputs: Int, of width: Int, _ act: Activation) -> any Layer {
        SqueezeExcite(
            "se", reduce: "se.conv_reduce", expand: "se.conv_expand",
            squeezed: isMobileNetV3 ? divisible(Float(width) * 0.25) : max(1, inputs / 4),
            channels: width, activation: isMobileNetV3 ? .relu : act,
            gate: isMobileNetV3 ? .hardSigmoid : .sigmoid)
    }

    private func depthwise(_ row: Row, _ stride: Int) -> any Layer {
        DepthwiseConv2d(
            "conv_dw", kernel: Extent(row.kernel), stride: Extent(stride),
            padding: tf ? .same : .all(row.kernel / 2))
    }

    private func convolution(_ name: String, _ outputs: Int, kernel: Int, stride: Int = 1)
        -> any Layer
    {
        Conv2d(
            name, outputs, kernel: Extent(kernel), stride: Extent(stride),
            padding: tf ? .same : .all(kernel / 2))
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: tf ? 1e-3 : 1e-5)
    }
}

// EfficientNet-Lite: Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excite, as timm has it.

import GraftNetworks

/// timm's `tf_efficientnet_lite*`: TensorFlow's padding and ε = 1e-3, ReLU6, a stem and a head that
/// do not grow with the width.
struct TimmEfficientNetLite: Blueprint {
    /// Multiplies channels.
    let width: Float
    /// Multiplies repeats, but for the first and the last stage.
    let depth: Float
    /// The classifier's dropout.
    let dropout: Float
    /// Width, depth, size and dropout.
    static let networks = [
        (1, 1, 224, 0.2), (1, 1.1, 240, 0.2), (1.1, 1.2, 260, 0.3), (1.2, 1.4, 300, 0.3),
        (1.4, 1.8, 380, 0.3),
    ].enumerated().map {
        (number: Int, scale: (width: Float, depth: Float, size: Int, dropout: Float)) in
        Architecture(
            "timm/tf_efficientnet_lite\(number)", input: Extent(scale.size),
            TimmEfficientNetLite(
                width: scale.width, depth: scale.depth, dropout: scale.dropout))
    }
    var naming: Naming { .torch }

    /// Table 1: kernel, stride, expansion, outputs, repeats.
    private static let rows:
        [(kernel: Int, stride: Int, expansion: Int, outputs: Int, repeats: Int)] = [
            (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
            (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
        ]

    private struct Block {
        var stage: Int
        var index: Int
        var kernel: Int
        var stride: Int
        var expansion: Int
        var inputs: Int
        var outputs: Int
    }

    private var blocks: [Block] {
        var inputs = 32
        var blocks: [Block] = []
        for (stage, row) in Self.rows.enumerated() {
            let fixed = stage == 0 || stage == Self.rows.count - 1
            let repeats = fixed ? row.repeats : Int((Float(row.repeats) * depth).rounded(.up))
            for index in 0..<repeats {
                let outputs = divisible(Float(row.outputs) * width)
                blocks.append(
                    Block(
                        stage: stage, index: index, kernel: row.kernel,
                        stride: index == 0 ? row.stride : 1, expansion: row.expansion,
                        inputs: inputs, outputs: outputs))
                inputs = outputs
            }
        }
        return blocks
    }

    var backbone: [any Layer] {
        Stage("stem") {
            Conv2d("conv_stem", 32, kernel: 3, stride: 2, padding: .same)
            normalise("bn1")
            ReLU6("bn1.act")
        }
        for block in blocks {
            Stage("blocks.\(block.stage)") {
                Scope("blocks.\(block.stage).\(block.index)") { residual(block) }
            }
        }
        Stage("conv_head") {
            Conv2d("conv_head", 1280, kernel: 1)
            normalise("bn2")
            ReLU6("bn2.act")
        }
    }
    var neck: [any Layer] { GlobalAveragePool("global_pool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("dropout", rate: dropout)
        Linear("classifier", classes)
    }

    @LayerBuilder
    private func residual(_ block: Block) -> [any Layer] {
        if block.stride == 1, block.inputs == block.outputs {
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
        if block.expansion > 1 {
            Conv2d("conv_pw", block.inputs * block.expansion, kernel: 1)
            normalise("bn1")
            ReLU6("bn1.act")
        }
        let depthwise = block.expansion > 1 ? "bn2" : "bn1"
        DepthwiseConv2d(
            "conv_dw", kernel: Extent(block.kernel), stride: Extent(block.stride), padding: .same)
        normalise(depthwise)
        ReLU6("\(depthwise).act")
        Conv2d(block.expansion > 1 ? "conv_pwl" : "conv_pw", block.outputs, kernel: 1)
        normalise(block.expansion > 1 ? "bn3" : "bn2")
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: 0.1)
    }

    /// The names of the published `.pth` (`_conv_stem`, `_blocks.3._expand_conv`, `_fc`).
    func renamed(_ name: String) -> String? {
        let fixed = [
            "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
            "_fc": "classifier",
        ]
        let parts = name.split(separator: ".").map(String.init)
        guard let first = parts.first, first.hasPrefix("_") else { return name }
        if let known = fixed[first] {
            return ([known] + parts.dropFirst()).joined(separator: ".")
        }
        guard first == "_blocks", parts.count >= 3, let number = Int(parts[1]),
            blocks.indices.contains(number)
        else { return name }
        let block = blocks[number]
        let inner =
            block.expansion > 1
            ? [
                "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
                "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3",
            ]
            : [
                "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw",
                "_bn2": "bn2",
            ]
        guard let layer = inner[parts[2]] else { return name }
        return (["blocks", "\(block.stage)", "\(block.index)", layer] + parts.dropFirst(3))
            .joined(separator: ".")
    }
}

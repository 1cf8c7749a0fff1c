// EfficientNet and EfficientNetV2: Tan & Le, arXiv:1905.11946 and 2104.00298, as torchvision has them.

import GraftNetworks

/// torchvision's EfficientNets: symmetric padding; ε is 1e-5 for B0 … B4 and 1e-3 for the others.
struct TorchEfficientNet: Blueprint {
    let rows: [MBConvRow]
    /// Multiplies channels.
    var width: Float = 1
    /// Multiplies repeats.
    var depth: Double = 1
    let stem: Int
    /// Channels of the embedding; nil is four times the last row's.
    var embedding: Int?
    let dropout: Float
    let epsilon: Float
    var momentum: Float = 0.1
    var naming: Naming { .torch }

    static let networks =
        EfficientNetTable.scales.enumerated().map { number, scale in
            Architecture(
                "torchvision/efficientnet_b\(number)",
                input: Extent(number == 2 ? 288 : scale.size),
                TorchEfficientNet(
                    rows: EfficientNetTable.rows, width: scale.width, depth: scale.depth,
                    stem: 32, dropout: scale.dropout, epsilon: number < 5 ? 1e-5 : 1e-3,
                    momentum: number < 5 ? 0.1 : 0.01))
        }
        + [
            ("s", EfficientNetTable.small, 24, 384, 0.2),
            ("m", EfficientNetTable.medium, 24, 480, 0.3),
            ("l", EfficientNetTable.large, 32, 480, 0.4),
        ].map { (size: String, rows: [MBConvRow], stem: Int, input: Int, dropout: Float) in
            Architecture(
                "torchvision/efficientnet_v2_\(size)", input: Extent(input),
                TorchEfficientNet(
                    rows: rows, stem: stem, embedding: 1280, dropout: dropout, epsilon: 1e-3))
        }

    private func rounded(_ channels: Int) -> Int { divisible(Float(channels) * width) }

    var backbone: [any Layer] {
        Stage("features.0") {
            convolution("features.0", rounded(stem), kernel: 3, stride: 2, .swish)
        }
        for block in blocks {
            Stage("features.\(block.stage)") {
                Scope("features.\(block.stage).\(block.index)") { residual(block) }
            }
        }
        let name = "features.\(rows.count + 1)"
        let last = rounded(rows.last?.outputs ?? 0)
        Stage(name) { convolution(name, embedding ?? 4 * last, kernel: 1, .swish) }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.0", rate: dropout)
        Linear("classifier.1", classes)
    }

    private struct Block {
        var stage: Int
        var index: Int
        var row: MBConvRow
        var stride: Int
        var inputs: Int
        var outputs: Int
        var dropRate: Float
    }

    private var blocks: [Block] {
        var inputs = rounded(stem)
        var blocks: [Block] = []
        let repeats = rows.map { Int((Double($0.repeats) * depth).rounded(.up)) }
        let total = Float(repeats.reduce(0, +))
        for (stage, row) in rows.enumerated() {
            for index in 0..<repeats[stage] {
                blocks.append(
                    Block(
                        stage: stage + 1, index: index, row: row,
                        stride: index == 0 ? row.stride : 1, inputs: inputs,
                        outputs: rounded(row.outputs),
                        dropRate: 0.2 * Float(blocks.count) / total))
                inputs = rounded(row.outputs)
            }
        }
        return blocks
    }

    @LayerBuilder
    private func residual(_ block: Block) -> [any Layer] {
        if block.stride == 1, block.inputs == block.outputs {
            Add("add") {
                Sequential {
                    Scope("block") { convolutions(block) }
                    DropPath("stochastic_depth", rate: block.dropRate)
                }
                Sequential {}
            }
        } else {
            Scope("block") { convolutions(block) }
        }
    }

    @LayerBuilder
    private func convolutions(_ block: Block) -> [any Layer] {
        let width = divisible(Float(block.inputs * block.row.expansion))
        let kernel = block.row.kernel
        if block.row.fused, width == block.inputs {
            convolution("0", block.outputs, kernel: kernel, stride: block.stride, .swish)
        } else if block.row.fused {
            convolution("0", width, kernel: kernel, stride: block.stride, .swish)
            convolution("1", block.outputs, kernel: 1, nil)
        } else {
            let first = width == block.inputs ? 0 : 1
            if first == 1 { convolution("0", width, kernel: 1, .swish) }
            convolution(
                "\(first)", width, kernel: kernel, stride: block.stride, groups: width, .swish)
            Scope("\(first + 1)") {
                SqueezeExcite(
                    "se", reduce: "fc1", expand: "fc2", squeezed: max(1, block.inputs / 4),
                    channels: width)
            }
            convolution("\(first + 2)", block.outputs, kernel: 1, nil)
        }
    }

    private func convolution(
        _ name: String, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
        _ activation: Activation?
    ) -> Scope {
        TorchConvolution(
            name, outputs, kernel: kernel, stride: stride, groups: groups, epsilon: epsilon,
            momentum: momentum, activation: activation)
    }
}

// EfficientNetV2: Tan & Le 2021, arXiv:2104.00298, as Keras Applications has it.

import GraftNetworks

/// Keras' EfficientNetV2: takes pixels of 0 … 255 and normalises them itself.
struct KerasEfficientNetV2: Blueprint {
    let rows: [MBConvRow]
    let stem: Int
    /// Multiplies channels.
    var width: Float = 1
    /// Multiplies repeats.
    var depth: Double = 1
    /// Whether the input is normalised by ImageNet's statistics (B0 … B3) or to −1 … 1.
    var usesStatistics = false
    var naming: Naming { .keras }

    static let networks =
        [
            ("efficientnetv2b0", 1, 1, 224), ("efficientnetv2b1", 1, 1.1, 240),
            ("efficientnetv2b2", 1.1, 1.2, 260), ("efficientnetv2b3", 1.2, 1.4, 300),
        ].map { (name: String, width: Float, depth: Double, size: Int) in
            Architecture(
                name, input: Extent(size),
                KerasEfficientNetV2(
                    rows: EfficientNetTable.base, stem: 32, width: width, depth: depth,
                    usesStatistics: true))
        } + [
            Architecture(
                "efficientnetv2s", input: 384,
                KerasEfficientNetV2(rows: EfficientNetTable.small, stem: 24)),
            Architecture(
                "efficientnetv2m", input: 480,
                KerasEfficientNetV2(rows: EfficientNetTable.medium, stem: 24)),
            Architecture(
                "efficientnetv2l", input: 480,
                KerasEfficientNetV2(rows: EfficientNetTable.large, stem: 32)),
        ]

    private func rounded(_ channels: Int) -> Int {
        EfficientNetTable.nearest(Float(channels), times: width)
    }

    var backbone: [any Layer] {
        Stage("stem") {
            if usesStatistics {
                Affine("rescaling", scale: [1 / 255], shift: [0])
                Affine(
                    "normalization", scale: [1 / 0.229, 1 / 0.224, 1 / 0.225],
                    shift: [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
            } else {
                Affine("rescaling", scale: [1 / 128], shift: [-1])
            }
            Conv2d("stem_conv", rounded(stem), kernel: 3, stride: 2, padding: .same)
            normalise("stem_bn")
            Swish("stem_activation")
        }
        for block in blocks { Stage(String(block.name.prefix(6))) { block.layers } }
        Stage("top") {
            Conv2d("top_conv", rounded(1280), kernel: 1)
            normalise("top_bn")
            Swish("top_activation")
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avg_pool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("top_dropout", rate: 0.2)
        KerasPredictions(classes)
    }

    private var blocks: [KerasMBConv] {
        var inputs = rounded(stem)
        var blocks: [KerasMBConv] = []
        // Keras spreads the drop rate over the unscaled count.
        let total = Float(rows.reduce(0) { $0 + $1.repeats })
        for (index, row) in rows.enumerated() {
            let outputs = rounded(row.outputs)
            for number in 0..<Int((Double(row.repeats) * depth).rounded(.up)) {
                blocks.append(
                    KerasMBConv(
                        name: "block\(index + 1)" + letter(number), kernel: row.kernel,
                        stride: number == 0 ? row.stride : 1, expansion: row.expansion,
                        inputs: inputs, outputs: outputs, squeeze: row.squeeze, fused: row.fused,
                        depthwise: "dwconv2", momentum: 0.1,
                        dropRate: 0.2 * Float(blocks.count) / total))
                inputs = outputs
            }
        }
        return blocks
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: 0.1)
    }
}

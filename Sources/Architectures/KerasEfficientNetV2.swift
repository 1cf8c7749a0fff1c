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
                    rows: base, stem: 32, width: width, depth: depth, usesStatistics: true))
        } + [
            Architecture(
                "efficientnetv2s", input: 384, KerasEfficientNetV2(rows: small, stem: 24)),
            Architecture(
                "efficientnetv2m", input: 480, KerasEfficientNetV2(rows: medium, stem: 24)),
            Architecture(
                "efficientnetv2l", input: 480, KerasEfficientNetV2(rows: large, stem: 32)),
        ]

    /// Table 4: stride, expansion, outputs, repeats; fused rows have no squeeze-and-excite.
    static let small = table(
        fused: [(1, 1, 24, 2), (2, 4, 48, 4), (2, 4, 64, 4)],
        [(2, 4, 128, 6), (1, 6, 160, 9), (2, 6, 256, 15)])
    static let medium = table(
        fused: [(1, 1, 24, 3), (2, 4, 48, 5), (2, 4, 80, 5)],
        [(2, 4, 160, 7), (1, 6, 176, 14), (2, 6, 304, 18), (1, 6, 512, 5)])
    static let large = table(
        fused: [(1, 1, 32, 4), (2, 4, 64, 7), (2, 4, 96, 7)],
        [(2, 4, 192, 10), (1, 6, 224, 19), (2, 6, 384, 25), (1, 6, 640, 7)])
    static let base = table(
        fused: [(1, 1, 16, 1), (2, 4, 32, 2), (2, 4, 48, 2)],
        [(2, 4, 96, 3), (1, 6, 112, 5), (2, 6, 192, 8)])

    private static func table(
        fused: [(Int, Int, Int, Int)], _ rest: [(Int, Int, Int, Int)]
    ) -> [MBConvRow] {
        (fused.map { ($0, true) } + rest.map { ($0, false) }).map { row, fused in
            MBConvRow(
                kernel: 3, stride: row.0, expansion: row.1, outputs: row.2, repeats: row.3,
                fused: fused, squeeze: fused ? 0 : 0.25)
        }
    }

    /// Multiples of 8, and unlike V1's never rounded up again.
    private func rounded(_ channels: Int) -> Int {
        max(8, Int(Float(channels) * width + 4) / 8 * 8)
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

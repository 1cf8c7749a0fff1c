// The tables of timm's inverted-residual networks.

import GraftNetworks

extension TimmEfficientNet {
    static let networks = efficientNets + efficientNetsV2 + mobileNets

    /// arXiv:1905.11946, table 1; "Lite" has no gates.
    static func v1(gated: Bool = true) -> [[Row]] {
        EfficientNetTable.rows.map { [Row($0, gated: gated)] }
    }

    private static let efficientNets: [Architecture] =
        EfficientNetTable.scales.enumerated().flatMap { number, scale in
            [("efficientnet", false), ("tf_efficientnet", true)].map { name, tf in
                Architecture(
                    "timm/\(name)_b\(number)", input: Extent(scale.size),
                    TimmEfficientNet(
                        stages: v1(), width: scale.width, depth: scale.depth,
                        dropout: scale.dropout, tf: tf))
            }
        }

    /// arXiv:2104.00298, table 4.
    private static func v2(_ rows: [MBConvRow]) -> [[Row]] { rows.map { [Row($0)] } }

    private static let efficientNetsV2: [Architecture] =
        zip(EfficientNetTable.scales, [192, 192, 208, 240]).enumerated().map { number, each in
            let (scale, size) = each
            return Architecture(
                "timm/tf_efficientnetv2_b\(number)", input: Extent(size),
                TimmEfficientNet(
                    stages: v2(EfficientNetTable.base), width: scale.width, depth: scale.depth,
                    tf: true, roundsDown: true))
        }
        + [
            ("s", EfficientNetTable.small, 24, 300, 0.2),
            ("m", EfficientNetTable.medium, 24, 384, 0.3),
            ("l", EfficientNetTable.large, 32, 384, 0.4),
        ].map { (size: String, rows: [MBConvRow], stem: Int, input: Int, dropout: Float) in
            Architecture(
                "timm/tf_efficientnetv2_\(size)", input: Extent(input),
                TimmEfficientNet(stages: v2(rows), stem: stem, dropout: dropout, tf: true))
        }

    /// arXiv:1801.04381, table 2: its first row has no expansion.
    private static let mobileNetV2: [[Row]] = MobileNetV2Table.rows.map { row in
        [
            Row(
                row.expansion == 1 ? .separable : .inverted, row.repeats, k: 3, s: row.stride,
                e: Float(row.expansion), row.outputs)
        ]
    }

    /// arXiv:1807.11626, figure 7: MnasNet-B1.
    private static let mnasNet: [[Row]] = [
        [Row(.separable, 1, k: 3, s: 1, e: 1, 16)], [Row(.inverted, 3, k: 3, s: 2, e: 3, 24)],
        [Row(.inverted, 3, k: 5, s: 2, e: 3, 40)], [Row(.inverted, 3, k: 5, s: 2, e: 6, 80)],
        [Row(.inverted, 2, k: 3, s: 1, e: 6, 96)], [Row(.inverted, 4, k: 5, s: 2, e: 6, 192)],
        [Row(.inverted, 1, k: 3, s: 1, e: 6, 320)],
    ]

    /// arXiv:1905.02244, table 1.
    private static let large: [[Row]] = [
        [Row(.separable, 1, k: 3, s: 1, e: 1, 16, relu: true)],
        [
            Row(.inverted, 1, k: 3, s: 2, e: 4, 24, relu: true),
            Row(.inverted, 1, k: 3, s: 1, e: 3, 24, relu: true),
        ],
        [Row(.inverted, 3, k: 5, s: 2, e: 3, 40, se: true, relu: true)],
        [
            Row(.inverted, 1, k: 3, s: 2, e: 6, 80), Row(.inverted, 1, k: 3, s: 1, e: 2.5, 80),
            Row(.inverted, 2, k: 3, s: 1, e: 2.3, 80),
        ],
        [Row(.inverted, 2, k: 3, s: 1, e: 6, 112, se: true)],
        [Row(.inverted, 3, k: 5, s: 2, e: 6, 160, se: true)],
        [Row(.plain, 1, k: 1, s: 1, e: 1, 960)],
    ]
    /// Table 2.
    private static let small: [[Row]] = [
        [Row(.separable, 1, k: 3, s: 2, e: 1, 16, se: true, relu: true)],
        [
            Row(.inverted, 1, k: 3, s: 2, e: 4.5, 24, relu: true),
            Row(.inverted, 1, k: 3, s: 1, e: 3.67, 24, relu: true),
        ],
        [
            Row(.inverted, 1, k: 5, s: 2, e: 4, 40, se: true),
            Row(.inverted, 2, k: 5, s: 1, e: 6, 40, se: true),
        ],
        [Row(.inverted, 2, k: 5, s: 1, e: 3, 48, se: true)],
        [Row(.inverted, 3, k: 5, s: 2, e: 6, 96, se: true)],
        [Row(.plain, 1, k: 1, s: 1, e: 1, 576)],
    ]

    private static let mobileNets: [Architecture] =
        [
            ("050", 0.5, 1, false), ("100", 1, 1, false), ("110d", 1.1, 1.2, true),
            ("120d", 1.2, 1.4, true), ("140", 1.4, 1, false),
        ].map {
            (name: String, width: Float, depth: Double, fixed: Bool) in
            Architecture(
                "timm/mobilenetv2_\(name)",
                TimmEfficientNet(
                    stages: mobileNetV2, width: width, depth: depth,
                    embedding: width < 1 ? 2560 : 1280, activation: .relu6, fixed: fixed))
        } + [
            Architecture(
                "timm/mnasnet_100", TimmEfficientNet(stages: mnasNet, activation: .relu))
        ]
        + [
            ("mobilenetv3_large_100", large, 1280, 1, false),
            ("tf_mobilenetv3_large_075", large, 1280, 0.75, true),
            ("tf_mobilenetv3_large_100", large, 1280, 1, true),
            ("mobilenetv3_small_050", small, 1024, 0.5, false),
            ("mobilenetv3_small_075", small, 1024, 0.75, false),
            ("mobilenetv3_small_100", small, 1024, 1, false),
            ("tf_mobilenetv3_small_075", small, 1024, 0.75, true),
            ("tf_mobilenetv3_small_100", small, 1024, 1, true),
        ].map { (name: String, stages: [[Row]], embedding: Int, width: Float, tf: Bool) in
            Architecture(
                "timm/\(name)",
                TimmEfficientNet(
                    stages: stages, width: width, stem: 16, embedding: embedding,
                    activation: .hardSwish, tf: tf, fixed: width < 0.75, isMobileNetV3: true))
        }
}

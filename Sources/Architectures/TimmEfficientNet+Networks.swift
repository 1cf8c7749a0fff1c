// The tables of timm's inverted-residual networks.

import GraftNetworks

extension TimmEfficientNet {
    static let networks = efficientNets + efficientNetsV2 + mobileNets

    /// arXiv:1905.11946, table 1; "Lite" has no gates.
    static func v1(gated: Bool = true) -> [[Row]] {
        [
            [Row(.separable, 1, k: 3, s: 1, e: 1, 16, se: gated)],
            [Row(.inverted, 2, k: 3, s: 2, e: 6, 24, se: gated)],
            [Row(.inverted, 2, k: 5, s: 2, e: 6, 40, se: gated)],
            [Row(.inverted, 3, k: 3, s: 2, e: 6, 80, se: gated)],
            [Row(.inverted, 3, k: 5, s: 1, e: 6, 112, se: gated)],
            [Row(.inverted, 4, k: 5, s: 2, e: 6, 192, se: gated)],
            [Row(.inverted, 1, k: 3, s: 1, e: 6, 320, se: gated)],
        ]
    }

    private static let efficientNets: [Architecture] = [
        (1, 1, 224, 0.2), (1, 1.1, 240, 0.2), (1.1, 1.2, 260, 0.3), (1.2, 1.4, 300, 0.3),
        (1.4, 1.8, 380, 0.4), (1.6, 2.2, 456, 0.4), (1.8, 2.6, 528, 0.5), (2, 3.1, 600, 0.5),
    ].enumerated().flatMap {
        (number: Int, scale: (width: Float, depth: Double, size: Int, dropout: Float)) in
        [("efficientnet", false), ("tf_efficientnet", true)].map { name, tf in
            Architecture(
                "timm/\(name)_b\(number)", input: Extent(scale.size),
                TimmEfficientNet(
                    stages: v1(), width: scale.width, depth: scale.depth, dropout: scale.dropout,
                    tf: tf))
        }
    }

    /// arXiv:2104.00298, table 4: fused rows, then those with squeeze-and-excite; each stride,
    /// expansion, outputs, repeats.
    private static func v2(
        _ first: (Int, Int), fused: [(Int, Float, Int, Int)], _ rest: [(Int, Float, Int, Int)]
    ) -> [[Row]] {
        [[Row(.plain, first.1, k: 3, s: 1, e: 1, first.0)]]
            + fused.map { [Row(.edge, $0.3, k: 3, s: $0.0, e: $0.1, $0.2)] }
            + rest.map { [Row(.inverted, $0.3, k: 3, s: $0.0, e: $0.1, $0.2, se: true)] }
    }

    private static let efficientNetsV2: [Architecture] =
        [(1, 1, 192), (1, 1.1, 192), (1.1, 1.2, 208), (1.2, 1.4, 240)].enumerated().map {
            (number: Int, scale: (width: Float, depth: Double, size: Int)) in
            Architecture(
                "timm/tf_efficientnetv2_b\(number)", input: Extent(scale.size),
                TimmEfficientNet(
                    stages: v2(
                        (16, 1), fused: [(2, 4, 32, 2), (2, 4, 48, 2)],
                        [(2, 4, 96, 3), (1, 6, 112, 5), (2, 6, 192, 8)]),
                    width: scale.width, depth: scale.depth, tf: true, roundsDown: true))
        } + [
            Architecture(
                "timm/tf_efficientnetv2_s", input: 300,
                TimmEfficientNet(
                    stages: v2(
                        (24, 2), fused: [(2, 4, 48, 4), (2, 4, 64, 4)],
                        [(2, 4, 128, 6), (1, 6, 160, 9), (2, 6, 256, 15)]), stem: 24, tf: true)),
            Architecture(
                "timm/tf_efficientnetv2_m", input: 384,
                TimmEfficientNet(
                    stages: v2(
                        (24, 3), fused: [(2, 4, 48, 5), (2, 4, 80, 5)],
                        [(2, 4, 160, 7), (1, 6, 176, 14), (2, 6, 304, 18), (1, 6, 512, 5)]),
                    stem: 24, dropout: 0.3, tf: true)),
            Architecture(
                "timm/tf_efficientnetv2_l", input: 384,
                TimmEfficientNet(
                    stages: v2(
                        (32, 4), fused: [(2, 4, 64, 7), (2, 4, 96, 7)],
                        [(2, 4, 192, 10), (1, 6, 224, 19), (2, 6, 384, 25), (1, 6, 640, 7)]),
                    dropout: 0.4, tf: true)),
        ]

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

// EfficientNet and EfficientNetV2: Tan & Le, arXiv:1905.11946 and 2104.00298: the tables, which every
// publisher follows.

/// A row of the tables.
struct MBConvRow {
    var kernel: Int
    var stride: Int
    var expansion: Int
    var outputs: Int
    var repeats: Int
    /// Whether one full convolution takes the place of expansion and depthwise convolution (V2).
    var fused = false
    /// Channels of the gate by those of the block's input; 0 is no gate.
    var squeeze: Float = 0.25
}

enum EfficientNetTable {
    /// Table 1, from B0.
    static let rows = [
        MBConvRow(kernel: 3, stride: 1, expansion: 1, outputs: 16, repeats: 1),
        MBConvRow(kernel: 3, stride: 2, expansion: 6, outputs: 24, repeats: 2),
        MBConvRow(kernel: 5, stride: 2, expansion: 6, outputs: 40, repeats: 2),
        MBConvRow(kernel: 3, stride: 2, expansion: 6, outputs: 80, repeats: 3),
        MBConvRow(kernel: 5, stride: 1, expansion: 6, outputs: 112, repeats: 3),
        MBConvRow(kernel: 5, stride: 2, expansion: 6, outputs: 192, repeats: 4),
        MBConvRow(kernel: 3, stride: 1, expansion: 6, outputs: 320, repeats: 1),
    ]

    /// The compound scaling of section 4.
    typealias Scale = (width: Float, depth: Double, size: Int, dropout: Float)

    /// B0 to B7.
    static let scales: [Scale] = [
        (1, 1, 224, 0.2), (1, 1.1, 240, 0.2), (1.1, 1.2, 260, 0.3), (1.2, 1.4, 300, 0.3),
        (1.4, 1.8, 380, 0.4), (1.6, 2.2, 456, 0.4), (1.8, 2.6, 528, 0.5), (2, 3.1, 600, 0.5),
    ]

    /// V2, table 4: stride, expansion, outputs, repeats; fused rows have no squeeze-and-excite.
    static let small = v2(
        fused: [(1, 1, 24, 2), (2, 4, 48, 4), (2, 4, 64, 4)],
        [(2, 4, 128, 6), (1, 6, 160, 9), (2, 6, 256, 15)])
    static let medium = v2(
        fused: [(1, 1, 24, 3), (2, 4, 48, 5), (2, 4, 80, 5)],
        [(2, 4, 160, 7), (1, 6, 176, 14), (2, 6, 304, 18), (1, 6, 512, 5)])
    static let large = v2(
        fused: [(1, 1, 32, 4), (2, 4, 64, 7), (2, 4, 96, 7)],
        [(2, 4, 192, 10), (1, 6, 224, 19), (2, 6, 384, 25), (1, 6, 640, 7)])
    /// What B0 to B3 of V2 are scaled from.
    static let base = v2(
        fused: [(1, 1, 16, 1), (2, 4, 32, 2), (2, 4, 48, 2)],
        [(2, 4, 96, 3), (1, 6, 112, 5), (2, 6, 192, 8)])

    private static func v2(fused: [(Int, Int, Int, Int)], _ rest: [(Int, Int, Int, Int)])
        -> [MBConvRow]
    {
        (fused.map { ($0, true) } + rest.map { ($0, false) }).map { row, fused in
            MBConvRow(
                kernel: 3, stride: row.0, expansion: row.1, outputs: row.2, repeats: row.3,
                fused: fused, squeeze: fused ? 0 : 0.25)
        }
    }

    /// The multiple of 8 nearest to `channels` times `width`: V2's small networks, unlike V1, do not
    /// round up again what lost a tenth.
    static func nearest(_ channels: Float, times width: Float) -> Int {
        max(8, Int(channels * width + 4) / 8 * 8)
    }
}

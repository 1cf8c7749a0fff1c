// MobileNetV2: Sandler et al. 2018, arXiv:1801.04381: its table, which every publisher follows.

/// Table 2.
enum MobileNetV2Table {
    /// Expansion t, outputs c, repeats n, stride s.
    static let rows: [(expansion: Int, outputs: Int, repeats: Int, stride: Int)] = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]

    /// An inverted residual.
    struct Block {
        /// Counted from 0.
        var id: Int
        var inputs: Int
        var outputs: Int
        var expansion: Int
        var stride: Int
        /// Channels between the two 1 × 1 convolutions.
        var width: Int { inputs * expansion }
        /// Whether a shortcut goes past it.
        var adds: Bool { stride == 1 && inputs == outputs }
    }

    /// The blocks after a stem of `stem` channels; `width` is what becomes of a row's outputs.
    static func blocks(stem: Int, width: (Int) -> Int = { $0 }) -> [Block] {
        var inputs = stem
        var blocks: [Block] = []
        for row in rows {
            for index in 0..<row.repeats {
                let outputs = width(row.outputs)
                blocks.append(
                    Block(
                        id: blocks.count, inputs: inputs, outputs: outputs,
                        expansion: row.expansion, stride: index == 0 ? row.stride : 1))
                inputs = outputs
            }
        }
        return blocks
    }
}

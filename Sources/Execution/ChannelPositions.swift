// Where the channels of each position lie in row-major maps or vectors.

import GraftTensors

/// The positions of (N, C, …), each a stride over its channels.
struct ChannelPositions {
    let channels: Int
    private let samples: Int
    private let area: Int

    init(_ shape: Shape) {
        samples = shape[0]
        channels = shape[1]
        area = shape.count / max(shape[0] * shape[1], 1)
    }

    /// The places of the channels of every position.
    func forEach(_ body: (StrideTo<Int>) -> Void) {
        for sample in 0..<samples {
            for element in 0..<area {
                let base = sample * channels * area + element
                body(stride(from: base, to: base + channels * area, by: area))
            }
        }
    }
}

// EfficientNet: Tan & Le 2019, arXiv:1905.11946, as Keras Applications has it.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// Keras' EfficientNet: takes pixels of 0 … 255 and normalises them itself.
struct KerasEfficientNet: Blueprint {
    /// Multiplies channels.
    let width: Float
    /// Multiplies repeats.
    let depth: Double
    /// The classifier's dropout.
    let dropout: Float
    /// Whether a division by √σ follows the normalisation: the published weights hold ImageNet's
    /// deviations where variances belong, and Keras then divides a second time.
    var dividesTwice = false
    var naming: Naming { .keras }

    static let networks = EfficientNetTable.scales.enumerated().map { number, scale in
        Architecture(
            "efficientnetb\(number)", input: Extent(scale.size),
            KerasEfficientNet(width: scale.width, depth: scale.depth, dropout: scale.dropout))
    }

    /// ImageNet's standard deviations.
    static let deviations: [Float] = [0.229, 0.224, 0.225]

    var backbone: [any Layer] {
        Stage("stem") {
            Affine("rescaling", scale: [1 / 255], shift: [0])
            KerasNormalization()
            if dividesTwice {
                Affine(
                    "rescaling_1", scale: Self.deviations.map { 1 / $0.squareRoot() },
                    shift: [0, 0, 0])
            }
            Conv2d("stem_conv", divisible(32 * width), kernel: 3, stride: 2, padding: .same)
            BatchNorm2d("stem_bn", epsilon: 1e-3, momentum: 0.01)
            Swish("stem_activation")
        }
        for block in blocks { Stage(String(block.name.dropLast())) { block.layers } }
        Stage("top") {
            Conv2d("top_conv", divisible(1280 * width), kernel: 1)
            BatchNorm2d("top_bn", epsilon: 1e-3, momentum: 0.01)
            Swish("top_activation")
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avg_pool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("top_dropout", rate: dropout)
        KerasPredictions(classes)
    }

    private var blocks: [KerasMBConv] {
        var inputs = divisible(32 * width)
        var blocks: [KerasMBConv] = []
        let rows = EfficientNetTable.rows
        let repeats = rows.map { Int((Double($0.repeats) * depth).rounded(.up)) }
        let total = Float(repeats.reduce(0, +))
        for (index, row) in rows.enumerated() {
            let outputs = divisible(Float(row.outputs) * width)
            for number in 0..<repeats[index] {
                blocks.append(
                    KerasMBConv(
                        name: "block\(index + 1)" + letter(number), kernel: row.kernel,
                        stride: number == 0 ? row.stride : 1, expansion: row.expansion,
                        inputs: inputs, outputs: outputs, momentum: 0.01,
                        dropRate: 0.2 * Float(blocks.count) / total))
                inputs = outputs
            }
        }
        return blocks
    }

    /// The network whose weights `state` is: deviations for variances mean a second division.
    func adapted(to state: StateDict) -> any Blueprint {
        guard
            let name = state.tensors.keys.last(where: {
                $0.hasPrefix("normalization") && $0.contains("variance")
            }),
            let variances = try? state[name]?.converted(to: .f32).load().floats,
            variances.count == 3
        else { return self }
        var copy = self
        copy.dividesTwice = zip(variances, Self.deviations).allSatisfy { abs($0 - $1) < 1e-3 }
        return copy
    }
}

/// `a` for 0, `b` for 1: how Keras counts the blocks of a stage. After `z` it goes on in ASCII.
func letter(_ index: Int) -> String {
    UInt8(exactly: 97 + index).map { String(UnicodeScalar($0)) } ?? "_\(index)"
}

/// Keras' `Normalization`: three statistics per file, one of them only a count.
private struct KerasNormalization: Layer {
    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let channels = graph.channels(of: x)
        return try graph.add(
            .batchNorm(epsilon: 0, momentum: 0, scale: false, shift: false),
            name: "normalization", inputs: [x],
            parameters: [
                Parameter(name: "normalization/mean", shape: [channels], role: .runningMean),
                Parameter(
                    name: "normalization/variance", shape: [channels], role: .runningVariance),
                Parameter(name: "normalization/count", shape: [], role: .count),
            ])
    }
}

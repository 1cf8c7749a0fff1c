// MobileNetV3: Howard et al. 2019, arXiv:1905.02244, as Keras Applications has it.

import GraftNetworks

/// Keras' MobileNetV3: takes pixels of 0 … 255 and scales them to −1 … 1 itself.
struct KerasMobileNetV3: Blueprint {
    /// Tables 1 and 2.
    let rows: [MobileNetV3Table.Row]
    /// Channels of the embedding.
    let embedding: Int
    /// The width multiplier α.
    var alpha: Float = 1
    /// Without squeeze-and-excite, hard-swish and 5 × 5.
    var minimalistic = false
    var naming: Naming { .keras }

    static let networks = [
        family("mobilenetv3large", rows: MobileNetV3Table.large, embedding: 1280),
        family("mobilenetv3small", rows: MobileNetV3Table.small, embedding: 1024),
    ]

    private static func family(
        _ name: String, rows: [MobileNetV3Table.Row], embedding: Int
    ) -> Architecture {
        Architecture(
            name, KerasMobileNetV3(rows: rows, embedding: embedding),
            published: ["0.75", "minimalistic"]
        ) {
            KerasMobileNetV3(
                rows: rows, embedding: embedding, alpha: $0.alpha ?? 1,
                minimalistic: $0.words.contains("minimalistic"))
        }
    }

    private func activation(_ hard: Bool, _ name: String) -> Operation {
        Activate(hard && !minimalistic ? .hardSwish : .relu, name)
    }

    var backbone: [any Layer] {
        Stage("conv") {
            Affine("rescaling", scale: [1 / 127.5], shift: [-1])
            Conv2d("conv", 16, kernel: 3, stride: 2, padding: .same)
            normalise("conv_bn")
            activation(true, "conv_act")
        }
        for block in blocks {
            let name = block.id == 0 ? "expanded_conv" : "expanded_conv_\(block.id)"
            Stage(name) { Scope(name) { invertedResidual(block) } }
        }
        Stage("conv_1") {
            Conv2d("conv_1", divisible(Float((blocks.last?.outputs ?? 0) * 6)), kernel: 1)
            normalise("conv_1_bn")
            activation(true, "conv_1_act")
        }
    }
    var neck: [any Layer] {
        Stage("conv_2") {
            GlobalAveragePool("global_average_pooling2d", keepsDimensions: true)
            Conv2d(
                "conv_2", alpha > 1 ? divisible(Float(embedding) * alpha) : embedding, kernel: 1,
                bias: true)
            activation(true, "conv_2_act")
            Flatten("conv_2_flatten")
        }
    }
    /// The classifier is a 1 × 1 convolution over a 1 × 1 map: a linear layer of the same numbers.
    func head(classes: Int) -> [any Layer] {
        Dropout("dropout", rate: 0.2)
        Linear("logits", classes)
        Softmax("predictions")
    }

    func kerasKind(of name: String) -> KerasKind? { name == "logits" ? .pixel : nil }

    private struct Block {
        var id: Int
        var row: MobileNetV3Table.Row
        var inputs: Int
        var outputs: Int
        /// Channels after the expansion.
        var width: Int
    }

    private var blocks: [Block] {
        var inputs = 16
        return rows.enumerated().map { id, row in
            let outputs = divisible(Float(row.outputs) * alpha)
            defer { inputs = outputs }
            // What α leaves of the inputs is expanded as many times as in the table.
            let expansion = Float(row.width) / Float(id == 0 ? 16 : rows[id - 1].outputs)
            return Block(
                id: id, row: row, inputs: inputs, outputs: outputs,
                width: divisible(Float(inputs) * expansion))
        }
    }

    @LayerBuilder
    private func invertedResidual(_ block: Block) -> [any Layer] {
        if block.row.stride == 1, block.inputs == block.outputs {
            Add("add") {
                Sequential {}
                Sequential { convolutions(block) }
            }
        } else {
            convolutions(block)
        }
    }

    @LayerBuilder
    private func convolutions(_ block: Block) -> [any Layer] {
        let row = block.row
        if block.id > 0 {
            Conv2d("expand", block.width, kernel: 1)
            normalise("expand_bn")
            activation(row.hs, "expand_act")
        }
        DepthwiseConv2d(
            "depthwise", kernel: Extent(minimalistic ? 3 : row.kernel),
            stride: Extent(row.stride), padding: .same)
        normalise("depthwise_bn")
        activation(row.hs, "depthwise_act")
        if row.se, !minimalistic {
            SqueezeExcite(
                "squeeze_excite", reduce: "squeeze_excite_conv",
                expand: "squeeze_excite_conv_1", squeezed: divisible(Float(block.width) * 0.25),
                channels: block.width, activation: .relu, gate: .hardSigmoid)
        }
        Conv2d("project", block.outputs, kernel: 1)
        normalise("project_bn")
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: 0.001)
    }
}

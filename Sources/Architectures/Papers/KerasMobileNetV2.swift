// MobileNetV2: Sandler et al. 2018, arXiv:1801.04381, as Keras Applications has it.

import GraftNetworks

/// Keras' MobileNetV2. Its `correct_pad` before strided convolutions is TensorFlow's SAME.
struct KerasMobileNetV2: Blueprint {
    /// The width multiplier α.
    let alpha: Float
    static let networks = [
        Architecture(
            "mobilenetv2", KerasMobileNetV2(alpha: 1),
            published: ["0.35", "0.50", "0.75", "1.3", "1.4"]
        ) { KerasMobileNetV2(alpha: $0.alpha ?? 1) }
    ]
    var naming: Naming { .keras }

    var backbone: [any Layer] {
        Stage("Conv1") {
            Conv2d("Conv1", divisible(32 * alpha), kernel: 3, stride: 2, padding: .same)
            normalise("bn_Conv1")
            ReLU6("Conv1_relu")
        }
        for block in blocks {
            let name = block.id == 0 ? "expanded_conv" : "block_\(block.id)"
            Stage(name) { Scope(name) { invertedResidual(block) } }
        }
        Stage("Conv_1") {
            Conv2d("Conv_1", alpha > 1 ? divisible(1280 * alpha) : 1280, kernel: 1)
            normalise("Conv_1_bn")
            ReLU6("out_relu")
        }
    }
    var neck: [any Layer] { GlobalAveragePool("global_average_pooling2d") }
    func head(classes: Int) -> [any Layer] { KerasPredictions(classes) }

    /// Keras truncates to whole channels before it rounds.
    private var blocks: [MobileNetV2Table.Block] {
        MobileNetV2Table.blocks(stem: divisible(32 * alpha)) {
            divisible(Float(Int(Float($0) * alpha)))
        }
    }

    @LayerBuilder
    private func invertedResidual(_ block: MobileNetV2Table.Block) -> [any Layer] {
        if block.adds {
            Add("add") {
                Sequential {}
                Sequential { convolutions(block) }
            }
        } else {
            convolutions(block)
        }
    }

    @LayerBuilder
    private func convolutions(_ block: MobileNetV2Table.Block) -> [any Layer] {
        if block.id > 0 {
            Conv2d("expand", block.width, kernel: 1)
            normalise("expand_BN")
            ReLU6("expand_relu")
        }
        DepthwiseConv2d("depthwise", kernel: 3, stride: Extent(block.stride), padding: .same)
        normalise("depthwise_BN")
        ReLU6("depthwise_relu")
        Conv2d("project", block.outputs, kernel: 1)
        normalise("project_BN")
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: 0.001)
    }
}

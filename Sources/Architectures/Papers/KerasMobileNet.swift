// MobileNet: Howard et al. 2017, arXiv:1704.04861, as Keras Applications has it.

import GraftNetworks

/// Keras' MobileNet: strided depthwise convolutions pad (0, 1) whatever the map's size.
struct KerasMobileNet: Blueprint {
    /// The width multiplier α.
    let alpha: Float
    static let networks = [
        Architecture(
            "mobilenet", KerasMobileNet(alpha: 1), published: ["0.25", "0.50", "0.75"]
        ) { KerasMobileNet(alpha: $0.alpha ?? 1) }
    ]
    var naming: Naming { .keras }

    /// Table 1: pointwise outputs and stride of each block.
    private static let blocks: [(outputs: Int, stride: Int)] = [
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
        (512, 1), (512, 1), (1024, 2), (1024, 1),
    ]

    private func width(_ channels: Int) -> Int { Int(Float(channels) * alpha) }

    var backbone: [any Layer] {
        Stage("conv1") {
            Conv2d("conv1", width(32), kernel: 3, stride: 2, padding: .same)
            BatchNorm2d("conv1_bn", epsilon: 1e-3, momentum: 0.01)
            ReLU6("conv1_relu")
        }
        for (index, block) in Self.blocks.enumerated() {
            let id = index + 1
            Stage("block\(id)") {
                DepthwiseConv2d(
                    "conv_dw_\(id)", kernel: 3, stride: Extent(block.stride),
                    padding: block.stride == 1
                        ? .all(1) : .explicit(Padding(top: 0, left: 0, bottom: 1, right: 1)))
                BatchNorm2d("conv_dw_\(id)_bn", epsilon: 1e-3, momentum: 0.01)
                ReLU6("conv_dw_\(id)_relu")
                Conv2d("conv_pw_\(id)", width(block.outputs), kernel: 1)
                BatchNorm2d("conv_pw_\(id)_bn", epsilon: 1e-3, momentum: 0.01)
                ReLU6("conv_pw_\(id)_relu")
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("global_average_pooling2d") }
    /// The classifier is a 1 × 1 convolution over a 1 × 1 map.
    func head(classes: Int) -> [any Layer] {
        Operation(
            .reshape(channels: width(1024), height: 1, width: 1, channelsLast: true), "reshape_1")
        Dropout("dropout", rate: 1e-3)
        Conv2d("conv_preds", classes, kernel: 1, bias: true)
        Flatten("reshape_2", channelsLast: true)
        Softmax("predictions")
    }
}

// Inception-ResNet v2: Szegedy et al. 2016, arXiv:1602.07261, as Keras Applications has it.

import GraftNetworks

/// Keras' Inception-ResNet v2: residuals of Inception blocks, scaled down before they are added.
struct KerasInceptionResNetV2: KerasInceptionBlocks {
    static let networks = [
        Architecture("inceptionresnetv2", input: 299, KerasInceptionResNetV2())
    ]

    var backbone: [any Layer] {
        stem
        Stage("block35") {
            Concatenate("mixed_5b") {
                convolution(96, 1)
                chain([(48, 1), (64, 5)])
                chain([(64, 1), (96, 3), (96, 3)])
                projection(64)
            }
            // Figure 16, ten times.
            for block in 1...10 {
                residual("block35_\(block)", 320, scale: 0.17) {
                    convolution(32, 1)
                    chain([(32, 1), (32, 3)])
                    chain([(32, 1), (48, 3), (64, 3)])
                }
            }
        }
        Stage("block17") {
            Concatenate("mixed_6a") {
                convolution(384, 3, stride: 2, padding: .valid)
                reduction([(256, 1), (256, 3)], 384)
                halving
            }
            // Figure 17, twenty times.
            for block in 1...20 {
                residual("block17_\(block)", 1088, scale: 0.1) {
                    convolution(192, 1)
                    chain([(128, 1), (160, Extent(1, 7)), (192, Extent(7, 1))])
                }
            }
        }
        Stage("block8") {
            Concatenate("mixed_7a") {
                reduction([(256, 1)], 384)
                reduction([(256, 1)], 288)
                reduction([(256, 1), (288, 3)], 320)
                halving
            }
            // Figure 19, ten times; the last neither scaled nor rectified.
            for block in 1...10 {
                residual("block8_\(block)", 2080, scale: block < 10 ? 0.2 : 1) {
                    convolution(192, 1)
                    chain([(192, 1), (224, Extent(1, 3)), (256, Extent(3, 1))])
                }
            }
        }
        Stage("conv_7b") {
            Conv2d("conv_7b", 1536, kernel: 1)
            BatchNorm2d("conv_7b_bn", epsilon: 1e-3, momentum: 0.01, scale: false)
            ReLU("conv_7b_ac")
        }
    }

    @LayerBuilder
    private func residual(
        _ name: String, _ channels: Int, scale: Float, @LayerBuilder _ branches: () -> [any Layer]
    ) -> [any Layer] {
        let branches = branches()
        Add("\(name)_add") {
            Sequential {}
            Sequential {
                Concatenate("\(name)_mixed") { branches }
                Conv2d("\(name)_conv", channels, kernel: 1, bias: true)
                if scale != 1 { Affine("\(name)_scale", scale: [scale], shift: [0]) }
            }
        }
        if scale != 1 { ReLU("\(name)_ac") }
    }
}

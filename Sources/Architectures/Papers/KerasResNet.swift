// ResNet: He et al. 2015, arXiv:1512.03385, as Keras Applications has it.

import GraftNetworks

/// Keras' ResNet v1: the stride sits on the first 1 × 1, convolutions have biases, ε = 1.001e-5.
struct KerasResNet: KerasResidualStages {
    /// Blocks per stage: the rows of Table 1.
    let depths: [Int]
    static let networks = [
        Architecture("resnet50", KerasResNet(depths: [3, 4, 6, 3])),
        Architecture("resnet101", KerasResNet(depths: [3, 4, 23, 3])),
        Architecture("resnet152", KerasResNet(depths: [3, 8, 36, 3])),
    ]

    var backbone: [any Layer] {
        Stage("conv1") {
            firstConvolution
            normalise("conv1_bn")
            ReLU("conv1_relu")
            MaxPool2d("pool1_pool", kernel: 3, stride: 2, padding: .all(1))
        }
        stages
    }

    func bottleneck(stage: Int, block: Int) -> [any Layer] {
        let (width, stride) = (64 << stage, stage > 0 && block == 1 ? 2 : 1)
        Add("add") {
            Sequential {
                if block == 1 { convolution("0", width * 4, kernel: 1, stride: stride) }
            }
            Sequential {
                convolution("1", width, kernel: 1, stride: stride)
                ReLU("1_relu")
                convolution("2", width, kernel: 3, stride: 1)
                ReLU("2_relu")
                convolution("3", width * 4, kernel: 1, stride: 1)
            }
        }
        ReLU("out")
    }

    @LayerBuilder
    private func convolution(_ name: String, _ outputs: Int, kernel: Int, stride: Int)
        -> [any Layer]
    {
        Conv2d(
            "\(name)_conv", outputs, kernel: Extent(kernel), stride: Extent(stride),
            padding: kernel / 2, bias: true)
        normalise("\(name)_bn")
    }
}

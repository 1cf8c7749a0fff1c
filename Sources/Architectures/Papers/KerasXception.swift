// Xception: Chollet 2016, arXiv:1610.02357, as Keras Applications has it.

import GraftNetworks

/// Keras' Xception: separable convolutions, figure 5 of the paper.
struct KerasXception: KerasClassifier {
    static let networks = [Architecture("xception", input: 299, KerasXception())]

    var backbone: [any Layer] {
        Stage("block1") {
            convolution("block1_conv1", 32, stride: 2)
            convolution("block1_conv2", 64, stride: 1)
        }
        // The entry flow: blocks 2 to 4.
        for (index, channels) in [128, 256, 728].enumerated() {
            downsampling(index + 2, channels, channels)
        }
        // The middle flow: the same block eight times.
        for block in 5...12 {
            Stage("block\(block)") {
                Add("block\(block)_add") {
                    Sequential { for index in 1...3 { rectified(block, index, 728) } }
                    Sequential {}
                }
            }
        }
        // The exit flow.
        downsampling(13, 728, 1024)
        Stage("block14") {
            for (index, channels) in [1536, 2048].enumerated() {
                separable("block14_sepconv\(index + 1)", channels)
                ReLU("block14_sepconv\(index + 1)_act")
            }
        }
    }

    private func downsampling(_ block: Int, _ first: Int, _ second: Int) -> any Layer {
        Stage("block\(block)") {
            Add("block\(block)_add") {
                Sequential {
                    // No activation before the first convolution: block 1 ended in one.
                    if block == 2 { separable("block2_sepconv1", first) }
                    if block > 2 { rectified(block, 1, first) }
                    rectified(block, 2, second)
                    MaxPool2d("block\(block)_pool", kernel: 3, stride: 2, padding: .same)
                }
                Sequential {
                    Conv2d("conv2d#", second, kernel: 1, stride: 2, padding: .same)
                    normalise("batch_normalization#")
                }
            }
        }
    }

    @LayerBuilder
    private func convolution(_ name: String, _ outputs: Int, stride: Int) -> [any Layer] {
        Conv2d(name, outputs, kernel: 3, stride: Extent(stride))
        normalise("\(name)_bn")
        ReLU("\(name)_act")
    }

    @LayerBuilder
    private func rectified(_ block: Int, _ index: Int, _ outputs: Int) -> [any Layer] {
        ReLU("block\(block)_sepconv\(index)_act")
        separable("block\(block)_sepconv\(index)", outputs)
    }

    @LayerBuilder
    private func separable(_ name: String, _ outputs: Int) -> [any Layer] {
        SeparableConv2d(name, outputs, kernel: 3)
        normalise("\(name)_bn")
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1e-3, momentum: 0.01)
    }
}

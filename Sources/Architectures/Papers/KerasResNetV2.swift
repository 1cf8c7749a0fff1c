// ResNet V2: He et al. 2016, arXiv:1603.05027, as Keras Applications has it.

import GraftNetworks

/// Keras' ResNet V2: normalisation before the convolutions; the last block of a stage has the
/// stride, and its shortcut is then a pool of one pixel.
struct KerasResNetV2: KerasResidualStages {
    /// Blocks per stage.
    let depths: [Int]
    static let networks = [
        Architecture("resnet50v2", KerasResNetV2(depths: [3, 4, 6, 3])),
        Architecture("resnet101v2", KerasResNetV2(depths: [3, 4, 23, 3])),
        Architecture("resnet152v2", KerasResNetV2(depths: [3, 8, 36, 3])),
    ]

    var backbone: [any Layer] {
        Stage("conv1") {
            firstConvolution
            // No ReLU came before: zeros that pad count in the maximum.
            ZeroPad2d("pool1_pad", Padding(top: 1, left: 1, bottom: 1, right: 1))
            MaxPool2d("pool1_pool", kernel: 3, stride: 2)
        }
        stages
        Stage("post") {
            normalise("post_bn")
            ReLU("post_relu")
        }
    }

    func bottleneck(stage: Int, block: Int) -> [any Layer] {
        let width = 64 << stage
        let stride = block == depths[stage] && stage < depths.count - 1 ? 2 : 1
        if block == 1 {
            normalise("preact_bn")
            ReLU("preact_relu")
            Add("out") {
                Conv2d("0_conv", width * 4, kernel: 1, stride: Extent(stride), bias: true)
                convolutions(width: width, stride: stride)
            }
        } else {
            Add("out") {
                Sequential {
                    if stride > 1 { MaxPool2d("pool", kernel: 1, stride: Extent(stride)) }
                }
                Sequential {
                    normalise("preact_bn")
                    ReLU("preact_relu")
                    convolutions(width: width, stride: stride)
                }
            }
        }
    }

    private func convolutions(width: Int, stride: Int) -> Sequential {
        Sequential {
            Conv2d("1_conv", width, kernel: 1)
            normalise("1_bn")
            ReLU("1_relu")
            Conv2d("2_conv", width, kernel: 3, stride: Extent(stride), padding: 1)
            normalise("2_bn")
            ReLU("2_relu")
            Conv2d("3_conv", width * 4, kernel: 1, bias: true)
        }
    }
}

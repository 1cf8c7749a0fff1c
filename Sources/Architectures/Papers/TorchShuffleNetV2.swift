// ShuffleNet V2: Ma et al. 2018, arXiv:1807.11164, as torchvision has it.

import GraftNetworks

/// torchvision's ShuffleNet V2: half of the channels pass a block untouched, then all are shuffled.
struct TorchShuffleNetV2: Blueprint {
    /// Channels of stages 2 to 4 and of the last convolution.
    let widths: [Int]
    var naming: Naming { .torch }

    /// Table 5.
    static let networks = [
        ("0_5", [48, 96, 192, 1024]), ("1_0", [116, 232, 464, 1024]),
        ("1_5", [176, 352, 704, 1024]), ("2_0", [244, 488, 976, 2048]),
    ].map { (size: String, widths: [Int]) in
        Architecture("torchvision/shufflenet_v2_x\(size)", TorchShuffleNetV2(widths: widths))
    }
    private static let repeats = [4, 8, 4]

    var backbone: [any Layer] {
        Stage("conv1") {
            TorchConvolution("conv1", 24, kernel: 3, stride: 2)
            MaxPool2d("maxpool", kernel: 3, stride: 2, padding: .all(1))
        }
        for (index, repeats) in Self.repeats.enumerated() {
            Stage("stage\(index + 2)") {
                for block in 0..<repeats {
                    Scope("stage\(index + 2).\(block)") {
                        if block == 0 { halving(widths[index] / 2) }
                        if block > 0 { shuffling(widths[index] / 2) }
                    }
                }
            }
        }
        Stage("conv5") { TorchConvolution("conv5", widths[3], kernel: 1) }
    }
    var neck: [any Layer] { GlobalAveragePool("mean") }
    func head(classes: Int) -> [any Layer] { Linear("fc", classes) }

    /// Figure 3 (d): both branches read everything and halve the map.
    @LayerBuilder
    private func halving(_ half: Int) -> [any Layer] {
        Concatenate("cat") {
            Scope("branch1") {
                DepthwiseConv2d("0", kernel: 3, stride: 2, padding: .all(1))
                BatchNorm2d("1")
                Conv2d("2", half, kernel: 1)
                BatchNorm2d("3")
                ReLU("4")
            }
            branch(half, stride: 2)
        }
        ChannelShuffle("shuffle", groups: 2)
    }

    /// Figure 3 (c): one half of the channels is worked on.
    @LayerBuilder
    private func shuffling(_ half: Int) -> [any Layer] {
        Concatenate("cat") {
            Slice("chunk0", start: 0, count: half)
            Sequential {
                Slice("chunk1", start: half, count: half)
                branch(half, stride: 1)
            }
        }
        ChannelShuffle("shuffle", groups: 2)
    }

    private func branch(_ half: Int, stride: Int) -> Scope {
        Scope("branch2") {
            Conv2d("0", half, kernel: 1)
            BatchNorm2d("1")
            ReLU("2")
            DepthwiseConv2d("3", kernel: 3, stride: Extent(stride), padding: .all(1))
            BatchNorm2d("4")
            Conv2d("5", half, kernel: 1)
            BatchNorm2d("6")
            ReLU("7")
        }
    }
}

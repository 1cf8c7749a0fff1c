// MobileNetV2: Sandler et al. 2018, arXiv:1801.04381, as torchvision has it.

import GraftNetworks

/// torchvision's MobileNetV2: symmetric padding, ε = 1e-5.
struct TorchMobileNetV2: Blueprint {
    static let networks = [Architecture("torchvision/mobilenet_v2", TorchMobileNetV2())]
    var naming: Naming { .torch }

    /// Table 2: expansion, outputs, repeats, stride.
    private static let rows: [(expansion: Int, outputs: Int, repeats: Int, stride: Int)] = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]

    var backbone: [any Layer] {
        Stage("features.0") {
            Scope("features.0") { convolution("", 32, kernel: 3, stride: 2) }
        }
        for block in blocks {
            let name = "features.\(block.id)"
            Stage(name) { Scope(name) { invertedResidual(block) } }
        }
        Stage("features.18") {
            Scope("features.18") { convolution("", 1280, kernel: 1) }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.0", rate: 0.2)
        Linear("classifier.1", classes)
    }

    private struct Block {
        var id: Int
        var inputs: Int
        var outputs: Int
        var expansion: Int
        var stride: Int
    }

    private var blocks: [Block] {
        var inputs = 32
        var blocks: [Block] = []
        for row in Self.rows {
            for index in 0..<row.repeats {
                blocks.append(
                    Block(
                        id: blocks.count + 1, inputs: inputs, outputs: row.outputs,
                        expansion: row.expansion, stride: index == 0 ? row.stride : 1))
                inputs = row.outputs
            }
        }
        return blocks
    }

    @LayerBuilder
    private func invertedResidual(_ block: Block) -> [any Layer] {
        if block.stride == 1, block.inputs == block.outputs {
            Add("add") {
                Sequential {}
                Scope("conv") { convolutions(block) }
            }
        } else {
            Scope("conv") { convolutions(block) }
        }
    }

    @LayerBuilder
    private func convolutions(_ block: Block) -> [any Layer] {
        let first = block.expansion > 1 ? 1 : 0
        if first == 1 { Scope("0") { convolution("", block.inputs * block.expansion, kernel: 1) } }
        Scope("\(first)") {
            DepthwiseConv2d("0", kernel: 3, stride: Extent(block.stride), padding: .all(1))
            BatchNorm2d("1")
            ReLU6("2")
        }
        Conv2d("\(first + 1)", block.outputs, kernel: 1)
        BatchNorm2d("\(first + 2)")
    }

    /// torchvision's `Conv2dNormActivation`.
    private func convolution(_ name: String, _ outputs: Int, kernel: Int, stride: Int = 1)
        -> Scope
    {
        Scope(name) {
            Conv2d(
                "0", outputs, kernel: Extent(kernel), stride: Extent(stride), padding: kernel / 2)
            BatchNorm2d("1")
            ReLU6("2")
        }
    }
}

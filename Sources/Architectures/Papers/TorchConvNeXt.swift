// ConvNeXt: Liu et al. 2022, arXiv:2201.03545, as torchvision has it.

import GraftNetworks
import GraftTensors

/// torchvision's ConvNeXt. Its linear layers over maps are 1 × 1 convolutions here.
struct TorchConvNeXt: Blueprint {
    /// Blocks per stage.
    let depths: [Int]
    /// Channels of the first stage; each next has twice as many.
    let width: Int
    /// The last block's probability to be dropped in training.
    let dropRate: Float
    var naming: Naming { .torch }

    /// torchvision has no "xlarge"; table 5 has the rates.
    static let networks = zip(ConvNeXtTable.sizes, [0.1, 0.4, 0.5, 0.5]).map { size, dropRate in
        Architecture(
            "torchvision/convnext_\(size.name)",
            TorchConvNeXt(depths: size.depths, width: size.width, dropRate: Float(dropRate)))
    }

    var backbone: [any Layer] {
        for (stage, depth) in depths.enumerated() {
            let channels = width << stage
            Stage("stage\(stage + 1)") {
                if stage == 0 {
                    Conv2d("features.0.0", channels, kernel: 4, stride: 4, bias: true)
                    LayerNorm2d("features.0.1")
                } else {
                    LayerNorm2d("features.\(2 * stage).0")
                    Conv2d("features.\(2 * stage).1", channels, kernel: 2, stride: 2, bias: true)
                }
                for block in 0..<depth {
                    Scope("features.\(2 * stage + 1).\(block)") {
                        residual(channels, number: depths[..<stage].reduce(block, +))
                    }
                }
            }
        }
    }
    var neck: [any Layer] {
        GlobalAveragePool("avgpool")
        LayerNorm2d("classifier.0")
    }
    func head(classes: Int) -> [any Layer] { Linear("classifier.2", classes) }

    func publishedShape(_ shape: Shape, of name: String) -> Shape {
        if name.hasSuffix(".layer_scale") { return [shape[0], 1, 1] }
        let linear = name.hasSuffix(".block.3.weight") || name.hasSuffix(".block.5.weight")
        return linear ? [shape[0], shape[1]] : shape
    }

    private func residual(_ channels: Int, number: Int) -> any Layer {
        Add("add") {
            Sequential {
                DepthwiseConv2d("block.0", kernel: 7, padding: .all(3), bias: true)
                LayerNorm2d("block.2")
                Conv2d("block.3", channels * 4, kernel: 1, bias: true)
                GELU("block.4")
                Conv2d("block.5", channels, kernel: 1, bias: true)
                ChannelScale("scale", parameter: "layer_scale")
                DropPath(
                    "stochastic_depth",
                    rate: dropRate * Float(number) / Float(depths.reduce(-1, +)))
            }
            Sequential {}
        }
    }
}

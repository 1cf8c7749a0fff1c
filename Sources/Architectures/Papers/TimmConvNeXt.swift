// ConvNeXt: Liu et al. 2022, arXiv:2201.03545, as timm has it.

import GraftNetworks
import GraftTensors

/// timm's ConvNeXt: torchvision's network under other names.
struct TimmConvNeXt: Blueprint {
    /// Blocks per stage.
    let depths: [Int]
    /// Channels of the first stage; each next has twice as many.
    let width: Int
    var naming: Naming { .torch }

    static let networks = ConvNeXtTable.sizes.map {
        Architecture(
            "timm/convnext_\($0.name)", TimmConvNeXt(depths: $0.depths, width: $0.width))
    }

    var backbone: [any Layer] {
        for (stage, depth) in depths.enumerated() {
            let channels = width << stage
            Stage("stages.\(stage)") {
                if stage == 0 {
                    Conv2d("stem.0", channels, kernel: 4, stride: 4, bias: true)
                    LayerNorm2d("stem.1")
                } else {
                    LayerNorm2d("stages.\(stage).downsample.0")
                    Conv2d(
                        "stages.\(stage).downsample.1", channels, kernel: 2, stride: 2, bias: true)
                }
                for block in 0..<depth {
                    Scope("stages.\(stage).blocks.\(block)") { residual(channels) }
                }
            }
        }
    }
    var neck: [any Layer] {
        GlobalAveragePool("head.global_pool")
        LayerNorm2d("head.norm")
    }
    func head(classes: Int) -> [any Layer] { Linear("head.fc", classes) }

    func publishedShape(_ shape: Shape, of name: String) -> Shape {
        let linear = name.hasSuffix(".mlp.fc1.weight") || name.hasSuffix(".mlp.fc2.weight")
        return linear ? [shape[0], shape[1]] : shape
    }

    private func residual(_ channels: Int) -> any Layer {
        Add("add") {
            Sequential {
                DepthwiseConv2d("conv_dw", kernel: 7, padding: .all(3), bias: true)
                LayerNorm2d("norm")
                Conv2d("mlp.fc1", channels * 4, kernel: 1, bias: true)
                GELU("mlp.act")
                Conv2d("mlp.fc2", channels, kernel: 1, bias: true)
                ChannelScale("scale", parameter: "gamma")
            }
            Sequential {}
        }
    }
}

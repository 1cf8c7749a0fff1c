// The vision transformer: Dosovitskiy et al. 2021, arXiv:2010.11929, as torchvision has it.

import GraftNetworks
import GraftTensors

/// torchvision's `VisionTransformer`.
struct TorchVisionTransformer: Blueprint {
    let patch: Int
    let width: Int
    let depth: Int
    let heads: Int
    var naming: Naming { .torch }

    /// Table 1 of the paper; the input sizes of the default weights.
    static let networks = [
        ("vit_b_16", 16, 768, 12, 12), ("vit_b_32", 32, 768, 12, 12),
        ("vit_l_16", 16, 1024, 24, 16),
        ("vit_l_32", 32, 1024, 24, 16), ("vit_h_14", 14, 1280, 32, 16),
    ].map { name, patch, width, depth, heads in
        Architecture(
            "torchvision/\(name)", input: name == "vit_h_14" ? 518 : 224,
            TorchVisionTransformer(patch: patch, width: width, depth: depth, heads: heads))
    }

    var backbone: [any Layer] {
        Stage("patches") {
            Conv2d("conv_proj", width, kernel: Extent(patch), stride: Extent(patch), bias: true)
            TokensOfMap()
            LeadingTokens([("class_token", 1)])
            PositionTable("encoder.pos_embedding")
        }
        for block in 0..<depth {
            Stage("block\(block)") {
                Scope("encoder.layers.encoder_layer_\(block)") {
                    TransformerBlock(names: .torchvision, heads: heads, hidden: 4 * width)
                }
            }
        }
        Stage("block\(depth - 1)") { LayerNorm("encoder.ln") }
    }
    var neck: [any Layer] { SelectedToken(0) }
    var bareNeck: [any Layer] { neck }
    func head(classes: Int) -> [any Layer] { Linear("heads.head", classes) }

    var firstKernel: [Int]? { [width, patch, patch] }
    var positions: Positions? {
        Positions(name: "encoder.pos_embedding", leading: 1, patch: patch, rule: .cornersAligned)
    }

    /// The first version of the state dict calls the linear layers otherwise.
    func renamed(_ name: String) -> String? {
        name.replacing(".mlp.linear_1.", with: ".mlp.0.")
            .replacing(".mlp.linear_2.", with: ".mlp.3.")
    }
}

// ConvNeXt: Liu et al. 2022, arXiv:2201.03545, as Keras Applications has it.

import GraftNetworks

/// Keras' ConvNeXt: takes pixels of 0 … 255 and normalises them itself. Its "dense" layers over
/// maps are 1 × 1 convolutions here.
struct KerasConvNeXt: Blueprint {
    /// Keras' prefix of every layer's name.
    let name: String
    /// Blocks per stage.
    let depths: [Int]
    /// Channels per stage.
    let widths: [Int]
    var naming: Naming { .keras }

    static let networks = ConvNeXtTable.sizes.map { size in
        Architecture(
            "convnext\(size.name)",
            KerasConvNeXt(
                name: "convnext_\(size.name)", depths: size.depths,
                widths: (0..<4).map { size.width << $0 }))
    }

    var backbone: [any Layer] {
        Scope(name) {
            for (stage, depth) in depths.enumerated() {
                Stage("stage_\(stage)") {
                    if stage == 0 {
                        Affine(
                            "prestem_normalization",
                            scale: [0.229, 0.224, 0.225].map { 1 / (255 * $0) },
                            shift: [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])
                        Conv2d("stem_conv", widths[0], kernel: 4, stride: 4, bias: true)
                        LayerNorm2d("stem_layernorm")
                    } else {
                        LayerNorm2d("downsampling_layernorm_\(stage - 1)")
                        Conv2d(
                            "downsampling_conv_\(stage - 1)", widths[stage], kernel: 2, stride: 2,
                            bias: true)
                    }
                    for block in 0..<depth {
                        Scope("stage_\(stage)_block_\(block)") { residual(widths[stage]) }
                    }
                }
            }
        }
    }
    var neck: [any Layer] {
        Scope(name) {
            GlobalAveragePool("head_gap")
            LayerNorm2d("head_layernorm")
        }
    }
    var bareNeck: [any Layer] {
        GlobalAveragePool("global_average_pooling2d")
        LayerNorm2d("layer_normalization")
    }
    func head(classes: Int) -> [any Layer] {
        Linear("\(name)_head_dense", classes)
        Softmax("predictions_softmax")
    }

    func kerasKind(of name: String) -> KerasKind? {
        if name.hasSuffix("_depthwise_conv") { return .grouped }
        if name.hasSuffix("_layer_scale") { return .layerScale }
        return name.contains("_pointwise_conv_") ? .dense : nil
    }
    /// The stem and the layers between the stages are models of their own.
    func kerasModel(of name: String) -> String? {
        if name.hasPrefix("\(self.name)_stem_") { return "\(self.name)_stem" }
        for kind in ["layernorm", "conv"] {
            let prefix = "\(self.name)_downsampling_\(kind)_"
            if name.hasPrefix(prefix) {
                return "\(self.name)_downsampling_block_\(name.dropFirst(prefix.count))"
            }
        }
        return nil
    }

    private func residual(_ width: Int) -> any Layer {
        Add("add") {
            Sequential {}
            Sequential {
                DepthwiseConv2d("depthwise_conv", kernel: 7, padding: .all(3), bias: true)
                LayerNorm2d("layernorm")
                Conv2d("pointwise_conv_1", width * 4, kernel: 1, bias: true)
                GELU("gelu")
                Conv2d("pointwise_conv_2", width, kernel: 1, bias: true)
                ChannelScale("layer_scale")
            }
        }
    }
}

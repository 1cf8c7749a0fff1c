// EfficientNet-Lite: Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excite, as timm has it.

import GraftNetworks

/// timm's `tf_efficientnet_lite*`: TensorFlow's padding and ε = 1e-3, ReLU6, a stem and a head that
/// do not grow with the width.
struct TimmEfficientNetLite: Blueprint {
    private let network: TimmEfficientNet
    /// B0 to B4, the last with less dropout than there.
    static let networks = EfficientNetTable.scales.prefix(5).enumerated().map { number, scale in
        Architecture(
            "timm/tf_efficientnet_lite\(number)", input: Extent(scale.size),
            TimmEfficientNetLite(
                network: TimmEfficientNet(
                    stages: TimmEfficientNet.v1(gated: false), width: scale.width,
                    depth: scale.depth, activation: .relu6,
                    dropout: min(scale.dropout, 0.3), tf: true, fixed: true)))
    }

    var naming: Naming { network.naming }
    var backbone: [any Layer] { network.backbone }
    var neck: [any Layer] { network.neck }
    func head(classes: Int) -> [any Layer] { network.head(classes: classes) }

    /// The names of the published `.pth` (`_conv_stem`, `_blocks.3._expand_conv`, `_fc`).
    func renamed(_ name: String) -> String? {
        let fixed = [
            "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
            "_fc": "classifier",
        ]
        let parts = name.split(separator: ".").map(String.init)
        guard let first = parts.first, first.hasPrefix("_") else { return name }
        if let known = fixed[first] {
            return ([known] + parts.dropFirst()).joined(separator: ".")
        }
        guard first == "_blocks", parts.count >= 3, let number = Int(parts[1]),
            network.blocks.indices.contains(number)
        else { return name }
        let block = network.blocks[number]
        let inner =
            block.row.kind == .inverted
            ? [
                "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw",
                "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3",
            ]
            : [
                "_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw",
                "_bn2": "bn2",
            ]
        guard let layer = inner[parts[2]] else { return name }
        return (["blocks", "\(block.stage)", "\(block.index)", layer] + parts.dropFirst(3))
            .joined(separator: ".")
    }
}

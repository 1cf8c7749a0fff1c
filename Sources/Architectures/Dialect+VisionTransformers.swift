// The names that transformers gives to the weights of vision transformers.

import GraftNetworks
import GraftTensors

extension Dialect {
    /// transformers' `ViTForImageClassification`, `DeiTForImageClassification` (with a teacher where it is
    /// distilled) and `Dinov2Model`.
    static let visionTransformers: [Dialect] =
        [
            "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_small_patch32_224",
            "vit_base_patch16_224", "vit_base_patch32_224", "vit_base_patch8_224",
            "vit_large_patch16_224", "vit_large_patch32_224", "vit_huge_patch14_224",
            "vit_base_patch16_384", "vit_base_patch32_384", "vit_large_patch16_384",
            "vit_large_patch32_384",
        ].map {
            Dialect(
                name: "transformers/\($0)", base: "timm/\($0)", marker: "vit.embeddings.",
                spell: { visionTransformer($0, model: "vit", block: plainBlock) },
                joins: joined, unused: ["vit.pooler."], positions: .plain)
        }
        + [
            "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224",
            "deit_base_patch16_384", "deit_tiny_distilled_patch16_224",
            "deit_small_distilled_patch16_224", "deit_base_distilled_patch16_224",
            "deit_base_distilled_patch16_384",
        ].map { name in
            let isDistilled = name.contains("distilled")
            return Dialect(
                name: "transformers/\(name)", base: "timm/\(name)", marker: "deit.embeddings.",
                spell: {
                    if isDistilled, $0.hasPrefix("head.") {
                        return "cls_classifier" + $0.dropFirst(4)
                    }
                    return visionTransformer($0, model: "deit", block: plainBlock)
                },
                joins: joined, unused: ["deit.pooler."], positions: .plain)
        }
        + ["small", "base", "large"].map { size in
            Dialect(
                name: "transformers/dinov2_\(size)", base: "timm/vit_\(size)_patch14_dinov2",
                marker: "embeddings.mask_token", spell: dino, joins: joined,
                unused: ["embeddings.mask_token"], positions: .plain)
        }

    private static let joined = [
        Join(
            whole: ".attention.attention.joined.",
            parts: ["query", "key", "value"].map { ".attention.attention.\($0)." })
    ]

    private static func dino(_ name: String) -> String {
        visionTransformer(
            name, model: "",
            block: [
                "norm1": "norm1", "norm2": "norm2", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
                "ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1",
            ])
    }

    private static let plainBlock = [
        "norm1": "layernorm_before", "norm2": "layernorm_after", "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    ]

    /// timm's name as transformers has it, under a model that is called `model`; `block` has the names of the
    /// parts of a block that differ from one network to the next.
    private static func visionTransformer(
        _ name: String, model: String, block: [String: String]
    ) -> String {
        var places = [
            "cls_token": "embeddings.cls_token", "dist_token": "embeddings.distillation_token",
            "reg_token": "embeddings.register_tokens",
            "pos_embed": "embeddings.position_embeddings",
            "patch_embed.proj": "embeddings.patch_embeddings.projection", "norm": "layernorm",
        ]
        if !model.isEmpty { places = places.mapValues { "\(model).\($0)" } }
        if let place = places[name] { return place }
        let parts = name.split(separator: ".").map(String.init)
        guard parts.count > 1, let last = parts.last else { return name }
        let layer = parts.dropLast().joined(separator: ".")
        if let place = places[layer] { return "\(place).\(last)" }
        let heads = ["head": "classifier", "head_dist": "distillation_classifier"]
        if let head = heads[layer] { return "\(head).\(last)" }
        guard parts[0] == "blocks", parts.count > 3 else { return name }
        let start = (model.isEmpty ? "" : model + ".") + "encoder.layer.\(parts[1])"
        // A scale has no last part of its own.
        let whole = parts.dropFirst(2).joined(separator: ".")
        if let place = block[whole] { return "\(start).\(place)" }
        let part = parts.dropFirst(2).dropLast().joined(separator: ".")
        let attention = [
            "attn.qkv": "attention.attention.joined", "attn.proj": "attention.output.dense",
        ]
        guard let place = attention[part] ?? block[part] else { return name }
        return "\(start).\(place).\(last)"
    }
}

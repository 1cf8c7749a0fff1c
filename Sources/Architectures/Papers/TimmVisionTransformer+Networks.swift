// The sizes and kinds of vision transformers that timm publishes.

import GraftNetworks

extension TimmVisionTransformer {
    /// A row of a table: the network's name, then in pixels and numbers what the papers' tables have.
    private typealias Size = (
        name: String, patch: Int, image: Int, width: Int, depth: Int, heads: Int, hidden: Int
    )

    static let networks: [Architecture] = tables.flatMap { kind, sizes in
        sizes.map { size in
            Architecture(
                "timm/\(size.name)", input: Extent(size.image),
                TimmVisionTransformer(
                    patch: size.patch, width: size.width, depth: size.depth, heads: size.heads,
                    hidden: size.hidden, kind: kind))
        }
    }

    private static let tables: [(kind: Kind, sizes: [Size])] = [
        // ViT (arXiv:2010.11929, table 1) and DeiT (arXiv:2012.12877).
        (
            Kind(),
            [
                ("test_vit", 16, 160, 64, 6, 2, 192),
                ("deit_tiny_patch16_224", 16, 224, 192, 12, 3, 768),
                ("vit_tiny_patch16_224", 16, 224, 192, 12, 3, 768),
                ("vit_tiny_patch16_384", 16, 384, 192, 12, 3, 768),
                ("vit_small_patch32_224", 32, 224, 384, 12, 6, 1536),
                ("vit_small_patch32_384", 32, 384, 384, 12, 6, 1536),
                ("deit_small_patch16_224", 16, 224, 384, 12, 6, 1536),
                ("vit_small_patch16_224", 16, 224, 384, 12, 6, 1536),
                ("vit_small_patch16_384", 16, 384, 384, 12, 6, 1536),
                ("vit_small_patch8_224", 8, 224, 384, 12, 6, 1536),
                ("vit_base_patch32_224", 32, 224, 768, 12, 12, 3072),
                ("vit_base_patch32_384", 32, 384, 768, 12, 12, 3072),
                ("deit_base_patch16_224", 16, 224, 768, 12, 12, 3072),
                ("vit_base_patch16_224", 16, 224, 768, 12, 12, 3072),
                ("deit_base_patch16_384", 16, 384, 768, 12, 12, 3072),
                ("vit_base_patch16_384", 16, 384, 768, 12, 12, 3072),
                ("vit_base_patch8_224", 8, 224, 768, 12, 12, 3072),
                ("vit_large_patch32_224", 32, 224, 1024, 24, 16, 4096),
                ("vit_large_patch32_384", 32, 384, 1024, 24, 16, 4096),
                ("vit_large_patch16_224", 16, 224, 1024, 24, 16, 4096),
                ("vit_large_patch16_384", 16, 384, 1024, 24, 16, 4096),
                ("vit_huge_patch14_224", 14, 224, 1280, 32, 16, 5120),
            ]
        ),
        // DeiT with a distillation token.
        (
            Kind(hasDistillationToken: true),
            [
                ("deit_tiny_distilled_patch16_224", 16, 224, 192, 12, 3, 768),
                ("deit_small_distilled_patch16_224", 16, 224, 384, 12, 6, 1536),
                ("deit_base_distilled_patch16_224", 16, 224, 768, 12, 12, 3072),
                ("deit_base_distilled_patch16_384", 16, 384, 768, 12, 12, 3072),
            ]
        ),
        // DeiT III (arXiv:2204.07118).
        (
            Kind(placesLeadingTokens: false, isScaled: true),
            [
                ("deit3_small_patch16_224", 16, 224, 384, 12, 6, 1536),
                ("deit3_small_patch16_384", 16, 384, 384, 12, 6, 1536),
                ("deit3_medium_patch16_224", 16, 224, 512, 12, 8, 2048),
                ("deit3_base_patch16_224", 16, 224, 768, 12, 12, 3072),
                ("deit3_base_patch16_384", 16, 384, 768, 12, 12, 3072),
                ("deit3_large_patch16_224", 16, 224, 1024, 24, 16, 4096),
                ("deit3_large_patch16_384", 16, 384, 1024, 24, 16, 4096),
                ("deit3_huge_patch14_224", 14, 224, 1280, 32, 16, 5120),
            ]
        ),
        // DINOv2 (arXiv:2304.07193).
        (
            Kind(isScaled: true),
            [
                ("vit_small_patch14_dinov2", 14, 518, 384, 12, 6, 1536),
                ("vit_base_patch14_dinov2", 14, 518, 768, 12, 12, 3072),
                ("vit_large_patch14_dinov2", 14, 518, 1024, 24, 16, 4096),
            ]
        ),
        // DINOv2 with registers (arXiv:2309.16588).
        (
            Kind(registers: 4, placesLeadingTokens: false, isScaled: true),
            [
                ("vit_small_patch14_reg4_dinov2", 14, 518, 384, 12, 6, 1536),
                ("vit_base_patch14_reg4_dinov2", 14, 518, 768, 12, 12, 3072),
                ("vit_large_patch14_reg4_dinov2", 14, 518, 1024, 24, 16, 4096),
            ]
        ),
        // DINOv2's giant, with SwiGLU.
        (
            Kind(activation: .swish, isScaled: true, isGated: true),
            [
                ("vit_giant_patch14_dinov2", 14, 518, 1536, 40, 24, 8192)
            ]
        ),
        // and with registers.
        (
            Kind(
                registers: 4, placesLeadingTokens: false, activation: .swish, isScaled: true,
                isGated: true),
            [
                ("vit_giant_patch14_reg4_dinov2", 14, 518, 1536, 40, 24, 8192)
            ]
        ),
        // CLIP's image towers (arXiv:2103.00020), of OpenCLIP's activation.
        (
            Kind(hasFirstNorm: true, epsilon: 1e-5),
            [
                ("vit_xsmall_patch16_clip_224", 16, 224, 256, 10, 4, 1024),
                ("vit_medium_patch32_clip_224", 32, 224, 512, 12, 8, 2048),
                ("vit_medium_patch16_clip_224", 16, 224, 512, 12, 8, 2048),
                ("vit_betwixt_patch32_clip_224", 32, 224, 640, 12, 10, 2560),
                ("vit_base_patch32_clip_224", 32, 224, 768, 12, 12, 3072),
                ("vit_base_patch32_clip_256", 32, 256, 768, 12, 12, 3072),
                ("vit_base_patch32_clip_384", 32, 384, 768, 12, 12, 3072),
                ("vit_base_patch32_clip_448", 32, 448, 768, 12, 12, 3072),
                ("vit_base_patch16_clip_224", 16, 224, 768, 12, 12, 3072),
                ("vit_base_patch16_clip_384", 16, 384, 768, 12, 12, 3072),
                ("vit_base_patch16_plus_clip_240", 16, 240, 896, 12, 14, 3584),
                ("vit_large_patch14_clip_224", 14, 224, 1024, 24, 16, 4096),
                ("vit_large_patch14_clip_336", 14, 336, 1024, 24, 16, 4096),
                ("vit_huge_patch14_clip_224", 14, 224, 1280, 32, 16, 5120),
                ("vit_huge_patch14_clip_336", 14, 336, 1280, 32, 16, 5120),
                ("vit_huge_patch14_clip_378", 14, 378, 1280, 32, 16, 5120),
                ("vit_giant_patch14_clip_224", 14, 224, 1408, 40, 16, 6144),
                ("vit_gigantic_patch14_clip_224", 14, 224, 1664, 48, 16, 8192),
                ("vit_gigantic_patch14_clip_378", 14, 378, 1664, 48, 16, 8192),
            ]
        ),
        // and of OpenAI's.
        (
            Kind(hasFirstNorm: true, activation: .quickGELU, epsilon: 1e-5),
            [
                ("vit_base_patch32_clip_quickgelu_224", 32, 224, 768, 12, 12, 3072),
                ("vit_base_patch16_clip_quickgelu_224", 16, 224, 768, 12, 12, 3072),
                ("vit_large_patch14_clip_quickgelu_224", 14, 224, 1024, 24, 16, 4096),
                ("vit_large_patch14_clip_quickgelu_336", 14, 336, 1024, 24, 16, 4096),
                ("vit_huge_patch14_clip_quickgelu_224", 14, 224, 1280, 32, 16, 5120),
                ("vit_huge_patch14_clip_quickgelu_378", 14, 378, 1280, 32, 16, 5120),
                ("vit_gigantic_patch14_clip_quickgelu_224", 14, 224, 1664, 48, 16, 8192),
            ]
        ),
        // SigLIP's image towers (arXiv:2303.15343).
        (
            Kind(hasClassToken: false, pooling: .attention),
            [
                ("vit_base_patch16_siglip_224", 16, 224, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_256", 16, 256, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_384", 16, 384, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_512", 16, 512, 768, 12, 12, 3072),
                ("vit_large_patch16_siglip_256", 16, 256, 1024, 24, 16, 4096),
                ("vit_large_patch16_siglip_384", 16, 384, 1024, 24, 16, 4096),
                ("vit_so400m_patch14_siglip_224", 14, 224, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_378", 14, 378, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_384", 14, 384, 1152, 27, 16, 4304),
            ]
        ),
        // SigLIP 2 (arXiv:2502.14786).
        (
            Kind(hasClassToken: false, activation: .geluTanh, pooling: .attention),
            [
                ("vit_base_patch32_siglip_256", 32, 256, 768, 12, 12, 3072),
                ("vit_large_patch16_siglip_512", 16, 512, 1024, 24, 16, 4096),
                ("vit_so400m_patch16_siglip_256", 16, 256, 1152, 27, 16, 4304),
                ("vit_so400m_patch16_siglip_384", 16, 384, 1152, 27, 16, 4304),
                ("vit_so400m_patch16_siglip_512", 16, 512, 1152, 27, 16, 4304),
                ("vit_giantopt_patch16_siglip_256", 16, 256, 1536, 40, 16, 6144),
                ("vit_giantopt_patch16_siglip_384", 16, 384, 1536, 40, 16, 6144),
            ]
        ),
        // SigLIP and I-JEPA without a head, pooled by the mean.
        (
            Kind(hasClassToken: false, pooling: .mean),
            [
                ("vit_base_patch16_siglip_gap_224", 16, 224, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_gap_256", 16, 256, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_gap_384", 16, 384, 768, 12, 12, 3072),
                ("vit_base_patch16_siglip_gap_512", 16, 512, 768, 12, 12, 3072),
                ("vit_large_patch16_siglip_gap_256", 16, 256, 1024, 24, 16, 4096),
                ("vit_large_patch16_siglip_gap_384", 16, 384, 1024, 24, 16, 4096),
                ("vit_so400m_patch14_siglip_gap_224", 14, 224, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_gap_378", 14, 378, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_gap_384", 14, 384, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_gap_448", 14, 448, 1152, 27, 16, 4304),
                ("vit_so400m_patch14_siglip_gap_896", 14, 896, 1152, 27, 16, 4304),
                ("vit_huge_patch16_gap_448", 16, 448, 1280, 32, 16, 5120),
                ("vit_huge_patch14_gap_224", 14, 224, 1280, 32, 16, 5120),
                ("vit_giant_patch16_gap_224", 16, 224, 1408, 40, 16, 6144),
            ]
        ),
        // and SigLIP 2.
        (
            Kind(hasClassToken: false, activation: .geluTanh, pooling: .mean),
            [
                ("vit_base_patch32_siglip_gap_256", 32, 256, 768, 12, 12, 3072),
                ("vit_large_patch16_siglip_gap_512", 16, 512, 1024, 24, 16, 4096),
                ("vit_so400m_patch16_siglip_gap_256", 16, 256, 1152, 27, 16, 4304),
                ("vit_so400m_patch16_siglip_gap_384", 16, 384, 1152, 27, 16, 4304),
                ("vit_so400m_patch16_siglip_gap_512", 16, 512, 1152, 27, 16, 4304),
                ("vit_giantopt_patch16_siglip_gap_256", 16, 256, 1536, 40, 16, 6144),
                ("vit_giantopt_patch16_siglip_gap_384", 16, 384, 1536, 40, 16, 6144),
            ]
        ),
        (
            Kind(
                hasClassToken: false, registers: 1, isScaled: true, hasLastNorm: false,
                pooling: .mean, hasVectorNorm: true),
            [
                ("test_vit2", 16, 160, 64, 8, 2, 192)
            ]
        ),
        (
            Kind(hasClassToken: false, registers: 1, isScaled: true, pooling: .attention),
            [
                ("test_vit3", 16, 160, 96, 9, 3, 192)
            ]
        ),
        (
            Kind(registers: 1, placesLeadingTokens: false, isScaled: true),
            [
                ("vit_base_patch14_reg1_tipsv2", 14, 448, 768, 12, 12, 3072),
                ("vit_large_patch14_reg1_tipsv2", 14, 448, 1024, 24, 16, 4096),
                ("vit_so400m_patch14_reg1_tipsv2", 14, 448, 1152, 27, 16, 4304),
            ]
        ),
        (
            Kind(hasJoinedBias: false),
            [
                ("vit_base_patch16_224_miil", 16, 224, 768, 12, 12, 3072)
            ]
        ),
        (
            Kind(registers: 7, placesLeadingTokens: false, isScaled: true, hasLastNorm: false),
            [
                ("vit_base_patch16_radio_v3", 16, 512, 768, 12, 12, 3072),
                ("vit_large_patch16_radio_v3", 16, 512, 1024, 24, 16, 4096),
            ]
        ),
        (
            Kind(
                hasClassToken: false, registers: 1, placesLeadingTokens: false, isScaled: true,
                hasLastNorm: false, pooling: .mean, hasVectorNorm: true),
            [
                ("vit_wee_patch16_reg1_gap_256", 16, 256, 256, 14, 4, 1280),
                ("vit_little_patch16_reg1_gap_256", 16, 256, 320, 14, 5, 1792),
                ("vit_medium_patch16_reg1_gap_256", 16, 256, 512, 12, 8, 2048),
                ("vit_betwixt_patch16_reg1_gap_256", 16, 256, 640, 12, 10, 2560),
            ]
        ),
        (
            Kind(
                hasClassToken: false, registers: 4, placesLeadingTokens: false, isScaled: true,
                hasLastNorm: false, pooling: .mean, hasVectorNorm: true),
            [
                ("vit_little_patch16_reg4_gap_256", 16, 256, 320, 14, 5, 1792),
                ("vit_medium_patch16_reg4_gap_256", 16, 256, 512, 12, 8, 2048),
                ("vit_mediumd_patch16_reg4_gap_256", 16, 256, 512, 20, 8, 2048),
                ("vit_mediumd_patch16_reg4_gap_384", 16, 384, 512, 20, 8, 2048),
                ("vit_betwixt_patch16_reg4_gap_256", 16, 256, 640, 12, 10, 2560),
                ("vit_betwixt_patch16_reg4_gap_384", 16, 384, 640, 12, 10, 2560),
            ]
        ),
        (
            Kind(
                registers: 1, placesLeadingTokens: false, activation: .swish, isScaled: true,
                isGated: true),
            [
                ("vit_giant_patch14_reg1_tipsv2", 14, 448, 1536, 40, 24, 8192)
            ]
        ),
        (
            Kind(registers: 7, placesLeadingTokens: false, hasLastNorm: false),
            [
                ("vit_huge_patch16_radio_v3", 16, 512, 1280, 32, 16, 5120),
                ("vit_giant_patch16_radio_v3", 16, 512, 1536, 40, 24, 6144),
            ]
        ),
        (
            Kind(registers: 9, placesLeadingTokens: false, hasLastNorm: false),
            [
                ("vit_so400m_patch16_radio_v4", 16, 512, 1152, 27, 16, 4304),
                ("vit_huge_patch16_radio_v4", 16, 512, 1280, 32, 16, 5120),
            ]
        ),
        (
            Kind(isScaled: true, hasLastNorm: false),
            [
                ("vit_intern300m_patch14_448", 14, 448, 1024, 24, 16, 4096)
            ]
        ),
        (
            Kind(hasClassToken: false, hasJoinedBias: false, isScaled: true, pooling: .mean),
            [
                ("vit_medium_patch16_gap_240", 16, 240, 512, 12, 8, 2048),
                ("vit_medium_patch16_gap_256", 16, 256, 512, 12, 8, 2048),
                ("vit_medium_patch16_gap_384", 16, 384, 512, 12, 8, 2048),
            ]
        ),
        (
            Kind(
                hasClassToken: false, registers: 1, hasJoinedBias: false, isScaled: true,
                hasLastNorm: false, pooling: .mean, hasVectorNorm: true),
            [
                ("vit_so150m2_patch16_reg1_gap_256", 16, 256, 832, 21, 13, 2176),
                ("vit_so150m2_patch16_reg1_gap_384", 16, 384, 832, 21, 13, 2176),
                ("vit_so150m2_patch16_reg1_gap_448", 16, 448, 832, 21, 13, 2176),
            ]
        ),
        (
            Kind(hasClassToken: false, registers: 4, pooling: .mean),
            [
                ("vit_so150m_patch16_reg4_gap_256", 16, 256, 896, 18, 14, 2304),
                ("vit_so150m_patch16_reg4_gap_384", 16, 384, 896, 18, 14, 2304),
            ]
        ),
    ]
}

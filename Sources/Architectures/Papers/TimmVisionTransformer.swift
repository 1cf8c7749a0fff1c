// The vision transformer: Dosovitskiy et al. 2021, arXiv:2010.11929, and what followed it, as timm has them.

import GraftNetworks
import GraftTensors

/// timm's `VisionTransformer`: ViT, DeiT (arXiv:2012.12877), DeiT III (arXiv:2204.07118), DINOv2
/// (arXiv:2304.07193), registers (arXiv:2309.16588), and the image towers of CLIP (arXiv:2103.00020) and
/// SigLIP (arXiv:2303.15343).
struct TimmVisionTransformer: Blueprint {
    /// The pixels of a side of a patch.
    var patch: Int
    /// The numbers of a token.
    var width: Int
    var depth: Int
    var heads: Int
    /// The width between the two linear layers of a block.
    var hidden: Int
    var kind = Kind()
    var naming: Naming { .torch }

    /// The differences from the first paper.
    struct Kind: Sendable, Hashable {
        var hasClassToken = true
        var hasDistillationToken = false
        var registers = 0
        /// Whether the position table has rows for the tokens before the patches.
        var placesLeadingTokens = true
        /// CLIP's: the patches without a bias, and a normalisation before the first block.
        var hasFirstNorm = false
        var activation = Activation.gelu
        var epsilon: Float = 1e-6
        var hasJoinedBias = true
        var isScaled = false
        var isGated = false
        /// Whether tokens are normalised after the last block.
        var hasLastNorm = true
        var pooling = Pooling.classToken
        /// Whether the vector is normalised after pooling.
        var hasVectorNorm = false
    }

    enum Pooling: Sendable, Hashable {
        /// The class token.
        case classToken
        /// The mean of the patches' tokens.
        case mean
        /// A learned query that attends to all tokens, and a block's second half.
        case attention
    }

    private var leading: [(parameter: String, count: Int)] {
        (kind.hasClassToken ? [("cls_token", 1)] : [])
            + (kind.hasDistillationToken ? [("dist_token", 1)] : [])
            + (kind.registers > 0 ? [("reg_token", kind.registers)] : [])
    }

    var backbone: [any Layer] {
        Stage("patches") {
            Conv2d(
                "patch_embed.proj", width, kernel: Extent(patch), stride: Extent(patch),
                bias: !kind.hasFirstNorm)
            TokensOfMap()
            if kind.placesLeadingTokens {
                LeadingTokens(leading)
                PositionTable("pos_embed")
            } else {
                PositionTable("pos_embed")
                LeadingTokens(leading)
            }
            if kind.hasFirstNorm { LayerNorm("norm_pre", epsilon: kind.epsilon) }
        }
        for block in 0..<depth {
            Stage("blocks.\(block)") {
                Scope("blocks.\(block)") {
                    TransformerBlock(
                        heads: heads, hidden: hidden, activation: kind.activation,
                        epsilon: kind.epsilon, hasJoinedBias: kind.hasJoinedBias,
                        isScaled: kind.isScaled, isGated: kind.isGated)
                }
            }
        }
        if kind.hasLastNorm {
            Stage("blocks.\(depth - 1)") { LayerNorm("norm", epsilon: kind.epsilon) }
        }
    }

    var neck: [any Layer] {
        switch kind.pooling {
        case .classToken where kind.hasDistillationToken:
            Add("both_tokens") {
                SelectedToken(0)
                SelectedToken(1)
            }
            Affine("mean_of_both", scale: [0.5], shift: [0])
        case .classToken: SelectedToken(0)
        case .mean: MeanToken(skipping: leading.reduce(0) { $0 + $1.count })
        case .attention:
            AttentionPooling(
                heads: heads, hidden: hidden, activation: kind.activation, epsilon: kind.epsilon)
        }
        if kind.hasVectorNorm { VectorNorm("fc_norm", epsilon: kind.epsilon) }
    }
    var bareNeck: [any Layer] { neck }

    func head(classes: Int) -> [any Layer] {
        if kind.hasDistillationToken {
            Add("both_heads") {
                Sequential {
                    SelectedToken(0)
                    Linear("head", classes)
                }
                Sequential {
                    SelectedToken(1)
                    Linear("head_dist", classes)
                }
            }
            Affine("mean_of_heads", scale: [0.5], shift: [0])
        } else {
            Linear("head", classes)
        }
    }
    var headReadsMap: Bool { kind.hasDistillationToken }

    var firstKernel: [Int]? { [width, patch, patch] }
    var positions: Positions? {
        Positions(
            name: "pos_embed",
            leading: kind.placesLeadingTokens ? leading.reduce(0) { $0 + $1.count } : 0,
            patch: patch, rule: .antialiased)
    }

    /// timm has other names for Meta's factors.
    func renamed(_ name: String) -> String? {
        guard kind.isScaled, name.hasPrefix("blocks.") else { return name }
        for (theirs, ours) in [(".gamma_1", ".ls1.gamma"), (".gamma_2", ".ls2.gamma")]
        where name.hasSuffix(theirs) {
            return name.dropLast(theirs.count) + ours
        }
        return name
    }
}

/// Pooling by a learned query (SigLIP's MAP head): attention to all tokens, then `y + MLP(LN(y))`.
private struct AttentionPooling: Layer {
    let heads: Int
    let hidden: Int
    let activation: Activation
    let epsilon: Float

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        graph.scopes.append("attn_pool")
        defer { graph.scopes.removeLast() }
        let width = graph.shapes[x][2]
        let query = try graph.add(
            .parameter([1, 1, width], learns: true), name: "latent", inputs: [])
        let asked = try Linear("q", width).apply(to: query, in: &graph)
        let queries = try graph.add(
            .expand([Op.Expand.batch, 1, width]), name: "queries", inputs: [asked, x])
        let both = try Linear("kv", 2 * width).apply(to: x, in: &graph)
        let keys = try graph.add(
            .slice(start: 0, count: width, axis: 2), name: "keys", inputs: [both])
        let values = try graph.add(
            .slice(start: width, count: width, axis: 2), name: "values", inputs: [both])
        let pooled = try graph.add(
            .attention(heads: heads), name: "attention", inputs: [queries, keys, values])
        let y = try Sequential {
            Linear("proj", width)
            Add("add") {
                Sequential {}
                Sequential {
                    LayerNorm("norm", epsilon: epsilon)
                    Linear("mlp.fc1", hidden)
                    Activate(activation, "mlp.act")
                    Linear("mlp.fc2", width)
                }
            }
        }.apply(to: pooled, in: &graph)
        return try graph.add(.view([0, width]), name: "pooled", inputs: [y])
    }
}

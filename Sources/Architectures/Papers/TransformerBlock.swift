// The encoder block of vision transformers (arXiv:2010.11929, equations 2 and 3), which every paper after it varies.

import GraftNetworks
import GraftTensors

/// The names that a publisher gives to the parts of a block.
struct TransformerNames: Sendable {
    var firstNorm = "norm1"
    /// The weight and bias of queries, keys and values in one.
    var joined = (weight: "attn.qkv.weight", bias: "attn.qkv.bias")
    var projection = "attn.proj"
    var firstScale = "ls1.gamma"
    var secondNorm = "norm2"
    var widening = "mlp.fc1"
    var narrowing = "mlp.fc2"
    var secondScale = "ls2.gamma"

    /// timm's.
    static let timm = TransformerNames()
    /// torchvision's, of PyTorch's own attention.
    static let torchvision = TransformerNames(
        firstNorm: "ln_1",
        joined: ("self_attention.in_proj_weight", "self_attention.in_proj_bias"),
        projection: "self_attention.out_proj", secondNorm: "ln_2", widening: "mlp.0",
        narrowing: "mlp.3")
}

/// `x + MSA(LN(x))`, then `x + MLP(LN(x))`, over tokens (N, T, C).
struct TransformerBlock: Layer {
    var names = TransformerNames.timm
    var heads: Int
    /// The width between the two linear layers.
    var hidden: Int
    var activation = Activation.gelu
    var epsilon: Float = 1e-6
    /// Whether queries, keys and values have a bias.
    var hasJoinedBias = true
    /// Whether each branch has a learned factor by channel.
    var isScaled = false
    /// Whether one half of the hidden numbers gates the other: SwiGLU (arXiv:2002.05202).
    var isGated = false
    /// The probability that a branch is left out in training.
    var dropRate: Float = 0

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let width = graph.shapes[x][2]
        let attended = try Add("add1") {
            Sequential {}
            Sequential {
                LayerNorm(names.firstNorm, epsilon: epsilon)
                JoinedLinear(names: names, outputs: 3 * width, bias: hasJoinedBias)
                Operation(.attention(heads: heads), "attention")
                Linear(names.projection, width)
                if isScaled { TokenScale(names.firstScale) }
                DropPath("drop_path1", rate: dropRate)
            }
        }.apply(to: x, in: &graph)
        return try Add("add2") {
            Sequential {}
            Sequential {
                LayerNorm(names.secondNorm, epsilon: epsilon)
                perceptron(width)
                if isScaled { TokenScale(names.secondScale) }
                DropPath("drop_path2", rate: dropRate)
            }
        }.apply(to: attended, in: &graph)
    }

    @LayerBuilder private func perceptron(_ width: Int) -> [any Layer] {
        Linear(names.widening, hidden)
        if isGated {
            Multiply("mlp.gated") {
                Sequential {
                    Operation(.slice(start: 0, count: hidden / 2, axis: 2), "mlp.gate")
                    Activate(activation, "mlp.act")
                }
                Operation(.slice(start: hidden / 2, count: hidden / 2, axis: 2), "mlp.value")
            }
        } else {
            Activate(activation, "mlp.act")
        }
        Linear(names.narrowing, width)
    }
}

/// The linear layer of queries, keys and values under the publisher's names.
private struct JoinedLinear: Layer {
    let names: TransformerNames
    let outputs: Int
    let bias: Bool

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let weight = Parameter(
            name: graph.qualified(names.joined.weight), shape: [outputs, graph.shapes[x][2]],
            role: .matrix)
        let shift = Parameter(
            name: graph.qualified(names.joined.bias), shape: [outputs], role: .bias)
        return try graph.add(
            .linear(outputs: outputs, bias: bias), name: "attn.joined", inputs: [x],
            parameters: bias ? [weight, shift] : [weight])
    }
}

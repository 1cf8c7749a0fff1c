// The closed set of operations that a network is made of.

/// One operation of a ``Graph``. Activations are NCHW in logical order, vectors are (N, C).
///
/// A closed set: shape inference, forward, backward, summary, drawing and export each switch over
/// it without a `default`.
public enum Op: Sendable, Hashable, Codable {
    /// The images: N × C × H × W.
    case input(channels: Int)
    /// 2-D convolution, grouped, dilated, depthwise (`groups` = input channels).
    /// Parameters: `weight` (O, I/groups, kH, kW) and, if it has one, `bias` (O).
    case conv2d(outputs: Int, window: Window, groups: Int, bias: Bool)
    /// The transpose of a convolution (PyTorch's `ConvTranspose2d`): `window` is that of the
    /// convolution whose gradient it is, its explicit padding is cut off, and `outputPadding` is
    /// added at the bottom and the right. Parameters: `weight` (I, O/groups, kH, kW) and, if it has
    /// one, `bias` (O).
    case convTranspose2d(
        outputs: Int, window: Window, outputPadding: Extent, groups: Int, bias: Bool)
    /// `γ (x − μ) / √(σ² + ε) + β` by channel (arXiv:1502.03167). Parameters: γ if `scale`, β if
    /// `shift`, and the buffers μ and σ². `momentum` is PyTorch's: the weight of the new sample.
    case batchNorm(epsilon: Float, momentum: Float, scale: Bool = true, shift: Bool = true)
    /// Layer normalisation over the channel axis (arXiv:1607.06450), of maps or vectors.
    case layerNorm(epsilon: Float)
    /// `y = x Wᵀ + b`. Parameters: `weight` (out, in) and, if it has one, `bias` (out).
    case linear(outputs: Int, bias: Bool)
    /// An elementwise non-linearity.
    case activation(Activation)
    /// Largest value of each window; padding counts as −∞.
    case maxPool(Window)
    /// Mean of each window; `countsPadding` says whether zeros that pad count in the divisor.
    case averagePool(Window, countsPadding: Bool)
    /// Mean over H and W; `keepsDimensions` leaves (N, C, 1, 1) instead of (N, C).
    case globalAveragePool(keepsDimensions: Bool)
    /// Maximum over H and W.
    case globalMaxPool(keepsDimensions: Bool)
    /// Mean of each of `height` × `width` cells that tile the map as PyTorch's
    /// `AdaptiveAvgPool2d`: cell i covers ⌊i·in/out⌋ ..< ⌈(i+1)·in/out⌉.
    case adaptiveAveragePool(height: Int, width: Int)
    /// Elementwise sum of two or more equal shapes, or of a map and one (N, C, 1, 1).
    case add
    /// Elementwise product, with the broadcast of ``add``: squeeze-and-excite's gate.
    case multiply
    /// Joins along the channel axis.
    case concatenate
    /// Channels `start ..< start + count`.
    case slice(start: Int, count: Int)
    /// (N, C, H, W) as (N, C·H·W). Keras flattens its channels-last maps: `channelsLast` orders
    /// the elements (h, w, c) and not (c, h, w).
    case flatten(channelsLast: Bool)
    /// (N, C) as (N, C, H, W) of equal count, elements in the order of ``flatten``.
    case reshape(channels: Int, height: Int, width: Int, channelsLast: Bool)
    /// Adds `value` around the map; negative amounts crop.
    case pad(Padding, value: Float)
    /// Enlarges by whole factors, nearest or bilinear (half-pixel centres).
    case upsample(height: Int, width: Int, bilinear: Bool)
    /// Splits the channels into `groups` and interleaves them (ShuffleNet, arXiv:1707.01083).
    case channelShuffle(groups: Int)
    /// `scale[c] · x + shift[c]` with constants; one constant serves every channel.
    case affine(scale: [Float], shift: [Float])
    /// `γ[c] · x`: ConvNeXt's layer scale. Parameter: γ (C).
    case channelScale
    /// Zeroes elements with this probability in training and scales the rest; identity otherwise.
    case dropout(rate: Float)
    /// Zeroes a whole sample of a residual branch in training (arXiv:1603.09382).
    case dropPath(rate: Float)
    /// `exp(x) / Σ exp(x)` over the channel axis.
    case softmax
    /// `x / max(‖x‖₂, 1e-12)` over the channel axis: vectors of length 1, as PyTorch's
    /// `functional.normalize` makes them. Zeros stay zeros.
    case unitNorm
}

/// The elementwise non-linearities.
public enum Activation: String, Sendable, Hashable, Codable, CaseIterable {
    /// max(x, 0).
    case relu
    /// min(max(x, 0), 6).
    case relu6
    /// 1 / (1 + e⁻ˣ).
    case sigmoid
    /// tanh x.
    case tanh
    /// x · sigmoid(x), also called SiLU.
    case swish
    /// relu6(x + 3) / 6, as PyTorch and Keras 3 have it.
    case hardSigmoid
    /// x · relu6(x + 3) / 6.
    case hardSwish
    /// x · Φ(x) with the Gaussian's own Φ.
    case gelu
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
    case geluTanh
    /// x if x > 0, else eˣ − 1.
    case elu
    /// x if x > 0, else 0.01 x (PyTorch's default slope).
    case leakyReLU
    /// eˣ.
    case exponential
    /// ln(1 + eˣ).
    case softplus
    /// x · tanh(softplus(x)) (arXiv:1908.08681).
    case mish
}

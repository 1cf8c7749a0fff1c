// The closed set of operations that a network is made of.

/// One operation of a ``Graph``. Maps are NCHW in logical order, vectors (N, C), tokens (N, T, C).
///
/// Each case carries the type of `Ops/` that says what Networks knows of it. The set is closed:
/// every module that treats operations has one switch over it, without a `default`, that yields what
/// the module knows; here that is ``rule``.
///
/// ```swift
/// let op = Op.linear(outputs: 10, bias: true)
/// if case .linear(let linear) = op { print(linear.outputs) }
/// ```
public enum Op: Sendable, Hashable {
    /// Where images enter.
    case input(Input)
    /// A convolution.
    case conv2d(Conv2d)
    /// A transposed convolution.
    case convTranspose2d(ConvTranspose2d)
    /// Batch normalisation.
    case batchNorm(BatchNorm)
    /// Layer normalisation.
    case layerNorm(LayerNorm)
    /// A fully connected layer.
    case linear(Linear)
    /// An elementwise non-linearity.
    case activation(Activate)
    /// The largest value of each window.
    case maxPool(MaxPool)
    /// The mean of each window.
    case averagePool(AveragePool)
    /// The mean of the whole map.
    case globalAveragePool(GlobalAveragePool)
    /// The maximum of the whole map.
    case globalMaxPool(GlobalMaxPool)
    /// The mean of each cell of a grid.
    case adaptiveAveragePool(AdaptiveAveragePool)
    /// An elementwise sum.
    case add(Add)
    /// An elementwise product.
    case multiply(Multiply)
    /// Values joined along an axis.
    case concatenate(Concatenate)
    /// Some of what lies along an axis.
    case slice(Slice)
    /// A map as vectors.
    case flatten(Flatten)
    /// Vectors as a map.
    case reshape(Reshape)
    /// Constants around a map.
    case pad(Pad)
    /// A map enlarged by whole factors.
    case upsample(Upsample)
    /// Interleaved groups of channels.
    case channelShuffle(ChannelShuffle)
    /// A scale and a shift with constants.
    case affine(Affine)
    /// A scale by channel that is learned.
    case channelScale(ChannelScale)
    /// Elements zeroed in training.
    case dropout(Dropout)
    /// Samples zeroed in training.
    case dropPath(DropPath)
    /// Probabilities from scores.
    case softmax(Softmax)
    /// Vectors of length 1.
    case unitNorm(UnitNorm)
    /// A weight as a value.
    case parameter(ParameterValue)
    /// A product of matrices.
    case matMul(MatMul)
    /// Axes in another order.
    case transpose(Transpose)
    /// The same elements under other sizes.
    case view(View)
    /// A value repeated to larger sizes.
    case expand(Expand)
    /// A function of each number.
    case elementwise(Elementwise)
    /// A function of two numbers.
    case binary(Binary)
    /// One number for all along some axes.
    case reduce(Reduce)
    /// Normalisation over groups of channels.
    case groupNorm(GroupNorm)
    /// Normalisation by neighbouring channels.
    case localResponseNorm(LocalResponseNorm)
    /// Elements around every axis.
    case padAxes(PadAxes)
    /// A map of other rows and columns.
    case resize(Resize)
    /// A value cut into several.
    case split(Split)
    /// Elements that another value names.
    case gather(Gather)
    /// A relation of two numbers.
    case compare(Compare)
    /// Numbers of one value or another.
    case `where`(Where)
    /// Another element type.
    case cast(Cast)
    /// The largest or smallest numbers, and their indices.
    case topK(TopK)
    /// The index of the largest or smallest number.
    case argExtreme(ArgExtreme)
    /// Elements of an axis at known places.
    case take(Take)
    /// Attention in several heads.
    case attention(Attention)
    /// Elements of an axis, one for each index.
    case gatherElements(GatherElements)
    /// Slices at vectors of indices.
    case gatherND(GatherND)
    /// Elements replaced at the indices of an axis.
    case scatterElements(ScatterElements)
    /// Slices replaced at vectors of indices.
    case scatterND(ScatterND)
    /// Sums or products up to each element.
    case cumulate(Cumulate)
    /// A map read between its pixels.
    case gridSample(GridSample)
    /// The parts of maps under boxes.
    case roiAlign(RoIAlign)
    /// A number for each window over any axes.
    case poolAxes(PoolAxes)
}

extension Op {
    /// What Networks knows of the operation: the only switch over operations in this module.
    public var rule: any OpRule {
        switch self {
        case .input(let rule): rule
        case .conv2d(let rule): rule
        case .convTranspose2d(let rule): rule
        case .batchNorm(let rule): rule
        case .layerNorm(let rule): rule
        case .linear(let rule): rule
        case .activation(let rule): rule
        case .maxPool(let rule): rule
        case .averagePool(let rule): rule
        case .globalAveragePool(let rule): rule
        case .globalMaxPool(let rule): rule
        case .adaptiveAveragePool(let rule): rule
        case .add(let rule): rule
        case .multiply(let rule): rule
        case .concatenate(let rule): rule
        case .slice(let rule): rule
        case .flatten(let rule): rule
        case .reshape(let rule): rule
        case .pad(let rule): rule
        case .upsample(let rule): rule
        case .channelShuffle(let rule): rule
        case .affine(let rule): rule
        case .channelScale(let rule): rule
        case .dropout(let rule): rule
        case .dropPath(let rule): rule
        case .softmax(let rule): rule
        case .unitNorm(let rule): rule
        case .parameter(let rule): rule
        case .matMul(let rule): rule
        case .transpose(let rule): rule
        case .view(let rule): rule
        case .expand(let rule): rule
        case .elementwise(let rule): rule
        case .binary(let rule): rule
        case .reduce(let rule): rule
        case .groupNorm(let rule): rule
        case .localResponseNorm(let rule): rule
        case .padAxes(let rule): rule
        case .resize(let rule): rule
        case .split(let rule): rule
        case .gather(let rule): rule
        case .compare(let rule): rule
        case .where(let rule): rule
        case .cast(let rule): rule
        case .topK(let rule): rule
        case .argExtreme(let rule): rule
        case .take(let rule): rule
        case .attention(let rule): rule
        case .gatherElements(let rule): rule
        case .gatherND(let rule): rule
        case .scatterElements(let rule): rule
        case .scatterND(let rule): rule
        case .cumulate(let rule): rule
        case .gridSample(let rule): rule
        case .roiAlign(let rule): rule
        case .poolAxes(let rule): rule
        }
    }

    /// The name in a summary, and of layers that have none of their own.
    public var kind: String { rule.kind }
}

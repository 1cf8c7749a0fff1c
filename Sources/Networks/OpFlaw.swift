// Why an operation cannot read its inputs.

public import GraftTensors

/// Why an operation cannot read its inputs; ``Graph/shapes(input:)`` adds the name of the node.
public enum OpFlaw: Error, Hashable {
    /// It reads another number of values.
    case inputCount(expected: Int, found: Int)
    /// It reads fewer values than it needs.
    case tooFewInputs(minimum: Int, found: Int)
    /// A value is not a map (N, C, H, W).
    case notMap(Shape)
    /// A value is not a batch of vectors (N, C).
    case notVectors(Shape)
    /// A value is not tokens (N, T, C).
    case notTokens(Shape)
    /// A value has no channel axis.
    case noChannels(Shape)
    /// The input has another rank, number of channels or an empty axis.
    case unfitInput(Shape, channels: Int)
    /// The groups do not divide the channels.
    case unfitGroups(Int, inputs: Int, outputs: Int)
    /// A number of outputs that is not positive.
    case outputCount(Int)
    /// A kernel, stride or dilation out of range.
    case unfitWindow(kernel: Extent, stride: Extent, dilation: Extent)
    /// An amount of padding out of range.
    case unfitPadding(Int)
    /// A transposed convolution whose padding depends on the size of the map.
    case implicitPadding
    /// More output padding than a step.
    case unfitOutputPadding(Extent)
    /// The window is larger than the map.
    case windowTooLarge(kernel: Extent, map: Extent)
    /// Nothing is left of a value.
    case nothingLeft(Shape)
    /// A pooling to no cells.
    case unfitCells(Extent)
    /// Channels that a value does not have.
    case unfitChannels(start: Int, count: Int, Shape)
    /// A shape of another number of elements.
    case unfitReshape(Shape, to: Shape)
    /// A factor of enlargement out of range.
    case unfitEnlargement(Extent)
    /// Constants that are neither one nor one per channel.
    case unfitConstants(count: Int, Shape)
    /// Shapes that do not combine elementwise.
    case unfitBroadcast(Shape, with: Shape)
    /// Shapes that differ in more than their channels.
    case unfitConcatenation(Shape, to: Shape)
    /// An axis that a value does not have, or that is named twice.
    case unfitAxes([Int], Shape)
    /// An order that does not name every axis once.
    case unfitOrder([Int], Shape)
    /// Matrices whose inner sizes differ.
    case unfitProduct(Shape, with: Shape)
    /// Sizes that a value of this shape cannot take.
    case unfitSizes([Int], Shape)
    /// Elements that an axis does not have.
    case unfitSlice(start: Int, count: Int, step: Int, axis: Int, Shape)
    /// Amounts that do not fit the axes.
    case unfitAmounts([Int], Shape)
    /// Factors that do not fit the axes.
    case unfitFactors([Double], Shape)
    /// Indices or boxes of a shape that does not fit the value that they are of.
    case unfitIndices(Shape, Shape)
    /// A window over the channels that is not positive.
    case unfitNeighbours(Int)
    /// An input of other sizes.
    case unfitOpenType(Shape, expected: OpenType)
    /// Another element type.
    case elementType(expected: DType, found: DType)
    /// More elements than can be counted.
    case tooLarge(Shape)

    /// The cause in words.
    public var explanation: String {
        switch self {
        case .inputCount(let expected, let found): "expected \(expected) inputs, found \(found)"
        case .tooFewInputs(let minimum, let found):
            "expected \(minimum) or more inputs, found \(found)"
        case .notMap(let shape): "expected a map (N, C, H, W), found \(shape)"
        case .notVectors(let shape): "expected vectors (N, C), found \(shape)"
        case .notTokens(let shape): "expected tokens (N, T, C), found \(shape)"
        case .noChannels(let shape): "expected a value with channels, found \(shape)"
        case .unfitInput(let shape, let channels):
            "expected an input (N, \(channels), H, W), found \(shape)"
        case .unfitGroups(let groups, let inputs, let outputs):
            "\(groups) groups do not divide \(inputs) input and \(outputs) output channels"
        case .outputCount(let count): "expected 1 or more outputs, found \(count)"
        case .unfitWindow(let kernel, let stride, let dilation):
            "expected a kernel, stride and dilation of 1 to \(Window.maximumExtent), "
                + "found \(kernel), \(stride) and \(dilation)"
        case .unfitPadding(let amount):
            "expected a padding of at most \(Window.maximumExtent), found \(amount)"
        case .implicitPadding: "expected the explicit padding of a transposed convolution"
        case .unfitOutputPadding(let extent):
            "expected an output padding less than a step, found \(extent)"
        case .windowTooLarge(let kernel, let map):
            "its window of \(kernel) does not fit a map of \(map)"
        case .nothingLeft(let shape): "no rows or columns are left of \(shape)"
        case .unfitCells(let cells): "expected 1 × 1 or more cells, found \(cells)"
        case .unfitChannels(let start, let count, let shape):
            "expected channels of \(shape), found \(count) from channel \(start)"
        case .unfitReshape(let shape, let target): "cannot reshape \(shape) to \(target)"
        case .unfitEnlargement(let factors):
            "expected factors of 1 to \(Op.Upsample.maximumFactor), found \(factors)"
        case .unfitConstants(let count, let shape):
            "expected one constant or one per channel of \(shape), found \(count)"
        case .unfitBroadcast(let shape, let other): "cannot combine \(shape) with \(other)"
        case .unfitConcatenation(let shape, let other): "cannot concatenate \(shape) to \(other)"
        case .unfitAxes(let axes, let shape):
            "expected different axes of \(shape), found \(axes)"
        case .unfitOrder(let order, let shape):
            "expected each axis of \(shape) once, found \(order)"
        case .unfitProduct(let a, let b): "cannot multiply \(a) by \(b)"
        case .unfitSizes(let sizes, let shape): "cannot give \(shape) the sizes \(sizes)"
        case .unfitSlice(let start, let count, let step, let axis, let shape):
            "expected elements of axis \(axis) of \(shape), found \(count) from \(start) in steps of \(step)"
        case .unfitAmounts(let amounts, let shape):
            "expected an amount per axis of \(shape) that leaves something, found \(amounts)"
        case .unfitFactors(let factors, let shape):
            "expected a positive factor per axis of \(shape), found \(factors)"
        case .unfitIndices(let indices, let shape):
            "cannot use indices \(indices) with a value of \(shape)"
        case .unfitNeighbours(let count): "expected a window of 1 or more channels, found \(count)"
        case .unfitOpenType(let shape, let type): "expected an input \(type), found \(shape)"
        case .elementType(let expected, let found):
            "expected elements of type \(expected.rawValue), found \(found.rawValue)"
        case .tooLarge(let shape): "a value of \(shape) is too large"
        }
    }
}

extension [ValueType] {
    /// The only input.
    package func one() throws(OpFlaw) -> Shape {
        guard count == 1 else { throw .inputCount(expected: 1, found: count) }
        return self[0].shape
    }

    /// The only input, a map (N, C, H, W).
    package func map() throws(OpFlaw) -> Shape {
        let shape = try one()
        guard shape.rank == 4 else { throw .notMap(shape) }
        return shape
    }

    /// The only input, vectors (N, C).
    package func vectors() throws(OpFlaw) -> Shape {
        let shape = try one()
        guard shape.rank == 2 else { throw .notVectors(shape) }
        return shape
    }

    /// The only input, whose second axis is the channels.
    package func channeled() throws(OpFlaw) -> Shape {
        let shape = try one()
        guard shape.rank >= 2 else { throw .noChannels(shape) }
        return shape
    }
}

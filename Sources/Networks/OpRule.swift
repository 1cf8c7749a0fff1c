// What Networks asks of an operation: what it yields and which weights it needs.

public import GraftTensors

/// What Networks knows of one operation: each has a file of its own in `Ops/`.
///
/// ```swift
/// let rule = Op.softmax.rule
/// let types = try rule.outputs(reading: [ValueType([1, 1000])])
/// ```
public protocol OpRule: Sendable, Hashable, Codable {
    /// The name in files, which never changes.
    static var name: String { get }
    /// The name in a summary, and of layers that have none of their own.
    var kind: String { get }
    /// The first version of the native file that can hold it: older programs would misread it.
    var formatVersion: Int { get }
    /// What it does, roughly: the colour of its box in a drawing.
    var family: OpFamily { get }
    /// Whether the score of each class stays by itself: what can stand between the last product of a
    /// classifier and its output.
    var keepsScores: Bool { get }
    /// Whether each sample, the first axis, is computed without the others and keeps its place: then a
    /// batch may be computed in parts.
    var treatsSamplesAlone: Bool { get }
    /// The types of its values when it reads values of these types.
    func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType]
    /// The weights that it needs then, in the order in which nodes hold them.
    func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter]
}

extension OpRule {
    /// The first version unless an operation says otherwise.
    public var formatVersion: Int { 1 }

    /// Mixes or moves scores unless an operation says otherwise.
    public var keepsScores: Bool { false }

    /// Each sample by itself unless an operation says otherwise.
    public var treatsSamplesAlone: Bool { true }

    /// Without weights unless an operation says otherwise.
    public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] { [] }
}

/// The element type and the shape of a value.
public struct ValueType: Sendable, Hashable {
    /// The type of an element.
    public var element: DType
    /// The sizes: (N, C, H, W) for maps, (N, C) for vectors, (N, T, C) for tokens.
    public var shape: Shape

    /// A value of this shape, in single precision unless another type is given.
    public init(_ shape: Shape, element: DType = .f32) {
        self.shape = shape
        self.element = element
    }
}

/// A weight that an operation needs.
public struct ExpectedParameter: Sendable, Hashable {
    /// What the operation does with it.
    public var role: Parameter.Role
    /// Its shape in logical order.
    public var shape: Shape
    /// Whether a node may lack it.
    public var isOptional: Bool

    /// A weight; required unless `isOptional`.
    public init(_ role: Parameter.Role, shape: Shape, isOptional: Bool = false) {
        self.role = role
        self.shape = shape
        self.isOptional = isOptional
    }
}

/// The groups of operations that look alike in a drawing.
public enum OpFamily: Sendable, Hashable, CaseIterable {
    /// Where values enter.
    case input
    /// Convolutions over all channels.
    case convolution
    /// Convolutions over groups of channels.
    case groupedConvolution
    /// Transposed convolutions.
    case transposedConvolution
    /// Products with a matrix.
    case product
    /// Normalisations, and scales and shifts by channel.
    case normalization
    /// Elementwise non-linearities and softmax.
    case activation
    /// Maxima and means of windows.
    case pooling
    /// Sums, products and concatenations of several values.
    case combination
    /// What moves, copies or drops numbers.
    case movement
}

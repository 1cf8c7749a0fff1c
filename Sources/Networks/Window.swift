// Where a convolution or a pool looks: kernel, stride, dilation and padding.

/// The geometry of a convolution or a pooling over H and W.
public struct Window: Sendable, Hashable, Codable {
    /// The kernel's height and width.
    public var kernel: Extent
    /// The step of the window.
    public var stride: Extent
    /// The distance between taps; 1 is dense.
    public var dilation: Extent
    /// What surrounds the map.
    public var padding: WindowPadding
    /// Whether an incomplete last window counts (PyTorch's `ceil_mode`).
    public var roundsUp: Bool

    /// A window; `stride` is 1 and `padding` none unless given.
    public init(
        kernel: Extent, stride: Extent = 1, dilation: Extent = 1,
        padding: WindowPadding = .explicit(.zero), roundsUp: Bool = false
    ) {
        self.kernel = kernel
        self.stride = stride
        self.dilation = dilation
        self.padding = padding
        self.roundsUp = roundsUp
    }

    /// The amounts of padding for a map of this size. "same" puts the odd one at the bottom and
    /// right, as TensorFlow does: out = ⌈in/s⌉, total = max((out−1)s + d(k−1) + 1 − in, 0).
    public func resolvedPadding(height: Int, width: Int) -> Padding {
        switch padding {
        case .explicit(let padding): return padding
        case .same, .zeroSame:
            func total(_ size: Int, _ axis: KeyPath<Extent, Int>) -> Int {
                let step = stride[keyPath: axis]
                let span = dilation[keyPath: axis] * (kernel[keyPath: axis] - 1) + 1
                return max(((size + step - 1) / step - 1) * step + span - size, 0)
            }
            let vertical = total(height, \.height)
            let horizontal = total(width, \.width)
            return Padding(
                top: vertical / 2, left: horizontal / 2, bottom: vertical - vertical / 2,
                right: horizontal - horizontal / 2)
        }
    }
}

/// A height and a width; a bare integer is a square.
public struct Extent: Sendable, Hashable, Codable, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    /// Rows.
    public var height: Int
    /// Columns.
    public var width: Int

    /// A rectangle.
    public init(_ height: Int, _ width: Int) {
        self.height = height
        self.width = width
    }
    /// A square.
    public init(_ side: Int) { self.init(side, side) }
    /// A square.
    public init(integerLiteral side: Int) { self.init(side, side) }

    /// `3 × 5`: rows by columns.
    public var description: String { "\(height) × \(width)" }
}

/// How a window meets the border of a map.
public enum WindowPadding: Sendable, Hashable, Codable {
    /// These amounts, whatever the map's size.
    case explicit(Padding)
    /// TensorFlow's SAME: depends on the map's size, extra at the bottom and right.
    case same
    /// The amounts of ``same``, but of zeros that count as values, as Keras' `ZeroPadding2D` by
    /// `correct_pad` makes them: a maximum sees them, and a mean divides by them.
    case zeroSame

    /// The same amount on every side, as in PyTorch.
    public static func all(_ amount: Int) -> WindowPadding {
        .explicit(Padding(top: amount, left: amount, bottom: amount, right: amount))
    }
    /// Nothing, Keras' "valid".
    public static var valid: WindowPadding { .explicit(.zero) }
}

/// Rows and columns added around a map.
public struct Padding: Sendable, Hashable, Codable {
    /// Rows above.
    public var top: Int
    /// Columns to the left.
    public var left: Int
    /// Rows below.
    public var bottom: Int
    /// Columns to the right.
    public var right: Int

    /// These amounts.
    public init(top: Int, left: Int, bottom: Int, right: Int) {
        self.top = top
        self.left = left
        self.bottom = bottom
        self.right = right
    }
    /// Nothing.
    public static let zero = Padding(top: 0, left: 0, bottom: 0, right: 0)
}

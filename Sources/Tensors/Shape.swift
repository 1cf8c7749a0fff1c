// The extents of a tensor, and the checked arithmetic on them.

/// The extents of a tensor, outermost first. Images are NCHW, convolution weights OIHW.
public struct Shape: Sendable, Hashable, Codable, ExpressibleByArrayLiteral,
    CustomStringConvertible
{
    /// One extent per axis; none is negative in a shape that came through a reader.
    public var dimensions: [Int]

    /// A shape with these extents.
    public init(_ dimensions: [Int]) { self.dimensions = dimensions }
    /// A shape with these extents.
    public init(arrayLiteral elements: Int...) { self.init(elements) }

    /// Reads a list of integers.
    public init(from decoder: any Decoder) throws {
        dimensions = try decoder.singleValueContainer().decode([Int].self)
    }
    /// Writes a list of integers.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(dimensions)
    }

    /// The number of axes.
    public var rank: Int { dimensions.count }
    /// The extent of one axis.
    public subscript(axis: Int) -> Int {
        get { dimensions[axis] }
        set { dimensions[axis] = newValue }
    }

    /// The number of elements, 1 for a scalar. Traps on overflow: check a stranger's shape with
    /// ``checkedCount`` first.
    public var count: Int { dimensions.reduce(1, *) }

    /// The number of elements, or nil if an extent is negative or the product overflows. Axes of
    /// no extent do not hide the others: `(0, 2⁶², 2⁶²)` has strides that overflow, and is nil.
    public var checkedCount: Int? { checkedProduct(1) }

    /// The number of bytes of a dense tensor of this shape, or nil on overflow; numbers of less than
    /// a byte are packed.
    public func checkedByteCount(_ dtype: DType) -> Int? {
        checkedProduct(dtype.bitCount).map { $0 / 8 + ($0 % 8 == 0 ? 0 : 1) }
    }

    private func checkedProduct(_ unit: Int) -> Int? {
        var product = unit
        for extent in dimensions where extent != 0 {
            guard extent > 0 else { return nil }
            let (next, overflow) = product.multipliedReportingOverflow(by: extent)
            guard !overflow else { return nil }
            product = next
        }
        return dimensions.contains(0) ? 0 : product
    }

    /// The shape with its axes in another order, as in NumPy's `transpose`.
    public func permuted(_ axes: [Int]) -> Shape { Shape(axes.map { dimensions[$0] }) }

    /// As Python writes it: `(1, 3, 224, 224)`.
    public var description: String {
        "(" + dimensions.map(String.init).joined(separator: ", ") + (rank == 1 ? ",)" : ")")
    }
}

// A dense array of numbers: a type, a shape and a place in a storage.

/// A dense, row-major tensor, native byte order.
///
/// A value: copying it copies no numbers. Images are NCHW and weights OIHW (logical order);
/// Execution alone knows other physical orders.
public struct Tensor: Sendable {
    /// The type of an element.
    public let dtype: DType
    /// The extents, outermost first.
    public let shape: Shape
    let storage: Storage
    let byteOffset: Int

    /// A tensor over `storage` from `byteOffset` on.
    ///
    /// Readers check the bounds when they parse; here they are a precondition.
    public init(_ dtype: DType, _ shape: Shape, storage: Storage, byteOffset: Int = 0) {
        let byteCount = shape.checkedByteCount(dtype) ?? .max
        precondition(byteOffset >= 0 && byteCount <= storage.byteCount - byteOffset)
        self.dtype = dtype
        self.shape = shape
        self.storage = storage
        self.byteOffset = byteOffset
    }

    /// A tensor of 32-bit floats with these elements, row-major.
    public init(_ elements: [Float], shape: Shape) {
        precondition(elements.count == shape.count)
        self.init(.f32, shape, storage: Storage(elements))
    }

    /// A tensor of 32-bit floats that `fill` writes; what it leaves is zero.
    public init(shape: Shape, fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
        let storage = try Storage(byteCount: shape.count * 4) {
            try fill($0.bindMemory(to: Float.self))
        }
        self.init(.f32, shape, storage: storage)
    }

    /// The number of elements.
    public var count: Int { shape.count }
    /// The number of bytes.
    public var byteCount: Int { dtype.byteCount(of: shape.count) }

    /// Lends the bytes.
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E)
        -> R
    {
        let range = byteOffset..<(byteOffset + byteCount)
        return try storage.withBytes { bytes throws(E) -> R in
            try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }

    /// The same numbers under another shape of equal count.
    public func reshaped(_ shape: Shape) -> Tensor {
        Tensor(dtype, shape, storage: storage, byteOffset: byteOffset)
    }

    /// Lends the elements of an f32 tensor. Anything else is converted to f32 first, and bytes
    /// that a file has laid unaligned are copied.
    public func withFloats<R>(_ body: (UnsafeBufferPointer<Float>) throws -> R) rethrows -> R {
        let aligned = withBytes { UInt(bitPattern: $0.baseAddress) % 4 == 0 }
        guard dtype == .f32, aligned else {
            return try floats.withUnsafeBufferPointer(body)
        }
        return try withBytes { bytes in try body(bytes.bindMemory(to: Float.self)) }
    }
}

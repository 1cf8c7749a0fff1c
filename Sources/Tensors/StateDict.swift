// An ordered collection of named tensors, each read when it is asked for.

public import OrderedCollections

/// A tensor that is known by type and shape, and whose numbers are read on demand.
///
/// What a reader yields: listing a file of gigabytes reads no numbers. Transformations chain
/// lazily, so that a converter holds one tensor at a time.
public struct LazyTensor: Sendable {
    /// The type of an element.
    public let dtype: DType
    /// The extents, outermost first.
    public let shape: Shape
    private let read: @Sendable () throws -> Tensor
    /// A way to the bytes that does not hold them all at once; nil where they lie ready.
    private let cut: (@Sendable () throws -> TensorPieces)?

    /// A tensor that `read` delivers, with exactly this type and shape.
    public init(_ dtype: DType, _ shape: Shape, read: @escaping @Sendable () throws -> Tensor) {
        self.init(dtype, shape, cut: nil, read: read)
    }

    /// A tensor that can be had in pieces or, by `read`, at once.
    init(
        _ dtype: DType, _ shape: Shape, cut: (@Sendable () throws -> TensorPieces)?,
        read: @escaping @Sendable () throws -> Tensor
    ) {
        self.dtype = dtype
        self.shape = shape
        self.cut = cut
        self.read = read
    }

    /// A tensor of this type and shape that `find` leads to when it is asked for.
    package static func deferred(
        _ dtype: DType, _ shape: Shape, _ find: @escaping @Sendable () throws -> LazyTensor
    ) -> LazyTensor {
        let checked: @Sendable () throws -> LazyTensor = {
            let tensor = try find()
            guard tensor.dtype == dtype, tensor.shape == shape else {
                throw TensorError.notAsAnnounced("\(dtype.rawValue) \(shape)")
            }
            return tensor
        }
        return LazyTensor(dtype, shape) {
            try checked().pieces()
        } read: {
            try checked().load()
        }
    }

    /// A tensor that is there already.
    public init(_ tensor: Tensor) {
        self.init(tensor.dtype, tensor.shape) { tensor }
    }

    /// The number of elements.
    public var count: Int { shape.count }
    /// The number of bytes when loaded.
    public var byteCount: Int { dtype.byteCount(of: shape.count) }

    /// Reads the numbers.
    public func load() throws -> Tensor { try read() }

    /// The bytes in pieces, made when they are asked for.
    func pieces() throws -> TensorPieces {
        if let cut { return try cut() }
        let tensor = try read()
        guard tensor.dtype == dtype, tensor.shape == shape else {
            throw TensorError.notAsAnnounced("\(dtype.rawValue) \(shape)")
        }
        return tensor.pieces
    }

    /// The axes in another order (NumPy's `transpose`), done when loaded.
    public func permuted(_ axes: [Int]) -> LazyTensor {
        guard axes != Array(0..<shape.rank) else { return self }
        // Elements that share a byte have to be taken apart first.
        guard !dtype.isPacked else { return converted(to: .f32).permuted(axes) }
        return LazyTensor(dtype, shape.permuted(axes)) {
            try read().piecesPermuted(axes)
        } read: {
            try read().permuted(axes)
        }
    }

    /// Another shape of equal count.
    public func reshaped(_ shape: Shape) -> LazyTensor {
        LazyTensor(dtype, shape, cut: cut ?? { try read().pieces }) {
            try read().reshaped(shape)
        }
    }

    /// Another number type, converted when loaded.
    public func converted(to target: DType) -> LazyTensor {
        guard target != dtype else { return self }
        let source = self
        return LazyTensor(target, shape) {
            try source.pieces().converted(
                from: source.dtype, to: target, count: source.count)
        } read: {
            try source.load().converted(to: target)
        }
    }
}

/// Named tensors in the order of their file: PyTorch's `state_dict`, for every format.
public struct StateDict: Sendable {
    /// The tensors by name, in file order.
    public var tensors: OrderedDictionary<String, LazyTensor>
    /// Free text that came with them (safetensors' `__metadata__`).
    public var metadata: [String: String]
    /// How the file orders the axes of weights.
    public var axes: AxisConvention
    /// What the reader decided or left out.
    public var remarks: [Remark] = []

    /// Named tensors.
    public init(
        _ tensors: OrderedDictionary<String, LazyTensor> = [:], metadata: [String: String] = [:],
        axes: AxisConvention = .torch
    ) {
        self.tensors = tensors
        self.metadata = metadata
        self.axes = axes
    }

    /// The tensor of this name.
    public subscript(name: String) -> LazyTensor? {
        get { tensors[name] }
        set { tensors[name] = newValue }
    }

    /// The number of tensors.
    public var count: Int { tensors.count }
    /// The number of elements of all tensors.
    public var elementCount: Int { tensors.values.reduce(0) { $0 + $1.count } }
    /// The number of bytes of all tensors when loaded.
    public var byteCount: Int { tensors.values.reduce(0) { $0 + $1.byteCount } }
}

/// How a file orders the axes of its weights; logical order in graft is always ``torch``.
public enum AxisConvention: String, Sendable, Hashable, Codable {
    /// Convolution OIHW, depthwise (C·M)1HW, linear (out, in).
    case torch
    /// Convolution HWIO, depthwise HWCM, dense (in, out).
    case keras
    /// Convolution OHWI, depthwise 1HWC, dense (out, in).
    case tflite
}

extension StateDict {
    /// The same tensors, every one read now into memory of its own.
    package func loaded() throws -> StateDict {
        var result = self
        for (name, tensor) in tensors {
            let loaded = try tensor.load()
            let storage = Storage(byteCount: loaded.byteCount) { target in
                loaded.withBytes { target.copyMemory(from: $0) }
            }
            result[name] = LazyTensor(Tensor(loaded.dtype, loaded.shape, storage: storage))
        }
        return result
    }
}

// Numbers between dtypes.

internal import CKernels

extension Tensor {
    /// The elements as 32-bit floats, row-major: rounded to nearest from wider types; complex
    /// numbers give their real part.
    public var floats: [Float] {
        withBytes { bytes in
            [Float](unsafeUninitializedCapacity: count) { target, initialized in
                for index in 0..<count {
                    target.initializeElement(at: index, to: dtype.loadFloat(bytes, index))
                }
                initialized = count
            }
        }
    }

    /// The same numbers as another type, rounded to nearest even.
    public func converted(to dtype: DType) -> Tensor {
        guard dtype != self.dtype else { return self }
        let storage = Storage(byteCount: count * dtype.byteCount) { target in
            withBytes { Tensor.convert($0, from: self.dtype, to: dtype, target, count: count) }
        }
        return Tensor(dtype, shape, storage: storage)
    }

    static func convert(
        _ source: UnsafeRawBufferPointer, from: DType, to: DType,
        _ target: UnsafeMutableRawBufferPointer, count: Int
    ) {
        guard count > 0, let input = source.baseAddress, let output = target.baseAddress else {
            return
        }
        // The pairs that weights meet, as the processor does them.
        switch (from, to) {
        case (.f32, .f16): graft_f32_to_f16(input, output, count)
        case (.f16, .f32): graft_f16_to_f32(input, output, count)
        case (.f32, .bf16): graft_f32_to_bf16(input, output, count)
        case (.bf16, .f32): graft_bf16_to_f32(input, output, count)
        default:
            for index in 0..<count {
                if from == .f64 || to == .f64 || !from.isFloatingPoint {
                    to.store(from.loadDouble(source, index), target, index)
                } else {
                    to.store(from.loadFloat(source, index), target, index)
                }
            }
        }
    }
}

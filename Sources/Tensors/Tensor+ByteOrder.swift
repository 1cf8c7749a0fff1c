// The bytes of each number in the opposite order.

extension Tensor {
    /// The numbers with their bytes in the opposite order; both parts of a complex number apart.
    func byteSwapped() -> Tensor {
        let storage = Storage(byteCount: byteCount) { target in
            withBytes { swapBytes($0, target, dtype) }
        }
        return Tensor(dtype, shape, storage: storage)
    }
}

extension LazyTensor {
    /// The numbers with their bytes in the opposite order, done when loaded.
    package func byteSwapped() -> LazyTensor {
        let dtype = dtype
        return LazyTensor(dtype, shape) {
            try pieces().byteSwapped(dtype)
        } read: {
            try load().byteSwapped()
        }
    }
}

extension TensorPieces {
    fileprivate func byteSwapped(_ dtype: DType) -> TensorPieces {
        TensorPieces(starts: starts) { index, body in
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: 1 << 18, alignment: 64)
            defer { buffer.deallocate() }
            try lend(index) { bytes in
                for start in stride(from: 0, to: bytes.count, by: buffer.count) {
                    let part = UnsafeRawBufferPointer(
                        rebasing: bytes[start..<min(start + buffer.count, bytes.count)])
                    let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<part.count])
                    swapBytes(part, target, dtype)
                    try body(UnsafeRawBufferPointer(target))
                }
            }
        }
    }
}

/// Swaps as many whole numbers as `source` holds.
private func swapBytes(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer, _ dtype: DType
) {
    func swap<Word: FixedWidthInteger & BitwiseCopyable>(_: Word.Type) {
        for at in stride(from: 0, to: source.count, by: MemoryLayout<Word>.size) {
            target.storeBytes(
                of: source.loadUnaligned(fromByteOffset: at, as: Word.self).byteSwapped,
                toByteOffset: at, as: Word.self)
        }
    }
    switch dtype == .c64 ? 4 : dtype.byteCount {
    case 2: swap(UInt16.self)
    case 4: swap(UInt32.self)
    case 8: swap(UInt64.self)
    default: target.copyMemory(from: source)
    }
}

// One element from and to bytes, for every dtype.

extension DType {
    /// Element `index` as a float.
    func loadFloat(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Float {
        switch self {
        case .f32: bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
        case .f16: Float(Float16(bitPattern: load(bytes, index, UInt16.self)))
        case .bf16: Float(bitPattern: UInt32(load(bytes, index, UInt16.self)) << 16)
        default: Float(loadDouble(bytes, index))
        }
    }

    /// Element `index` as a double.
    func loadDouble(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Double {
        switch self {
        case .bool: load(bytes, index, UInt8.self) == 0 ? 0 : 1
        case .u8: Double(load(bytes, index, UInt8.self))
        case .i8: Double(load(bytes, index, Int8.self))
        case .i16: Double(load(bytes, index, Int16.self))
        case .u16: Double(load(bytes, index, UInt16.self))
        case .i32: Double(load(bytes, index, Int32.self))
        case .u32: Double(load(bytes, index, UInt32.self))
        case .i64: Double(load(bytes, index, Int64.self))
        case .u64: Double(load(bytes, index, UInt64.self))
        case .f32: Double(load(bytes, index, Float.self))
        case .f64: load(bytes, index, Double.self)
        case .c64: Double(bytes.loadUnaligned(fromByteOffset: index * 8, as: Float.self))
        case .f16, .bf16: Double(loadFloat(bytes, index))
        // An E5M2 float is the upper half of an f16.
        case .f8e5m2: Double(Float16(bitPattern: UInt16(load(bytes, index, UInt8.self)) << 8))
        case .f8e4m3: DType.e4m3(load(bytes, index, UInt8.self))
        case .f8e8m0: DType.e8m0(load(bytes, index, UInt8.self))
        case .f8e4m3fnuz:
            DType.small(load(bytes, index, UInt8.self), mantissa: 3, bias: 8, nan: 0x80)
        case .f8e5m2fnuz:
            DType.small(load(bytes, index, UInt8.self), mantissa: 2, bias: 16, nan: 0x80)
        case .f4: DType.small(packed(bytes, index), width: 4, mantissa: 1, bias: 1)
        case .f6e2m3: DType.small(packed(bytes, index), width: 6, mantissa: 3, bias: 1)
        case .f6e3m2: DType.small(packed(bytes, index), width: 6, mantissa: 2, bias: 3)
        }
    }

    /// Stores a number as element `index`, rounded to nearest even, clamped to the integer range.
    func store<F: BinaryFloatingPoint>(
        _ value: F, _ bytes: UnsafeMutableRawBufferPointer, _ index: Int
    ) {
        switch self {
        case .f32: save(Float(value), bytes, index)
        case .f64: save(Double(value), bytes, index)
        case .f16: save(Float16(value).bitPattern, bytes, index)
        case .bf16: save(DType.bfloat16(Float(value)), bytes, index)
        case .bool: save(UInt8(value == 0 ? 0 : 1), bytes, index)
        case .u8: save(clamped(value, UInt8.self), bytes, index)
        case .i8: save(clamped(value, Int8.self), bytes, index)
        case .i16: save(clamped(value, Int16.self), bytes, index)
        case .u16: save(clamped(value, UInt16.self), bytes, index)
        case .i32: save(clamped(value, Int32.self), bytes, index)
        case .u32: save(clamped(value, UInt32.self), bytes, index)
        case .i64: save(clamped(value, Int64.self), bytes, index)
        case .u64: save(clamped(value, UInt64.self), bytes, index)
        case .c64:
            bytes.storeBytes(of: Float(value), toByteOffset: index * 8, as: Float.self)
            bytes.storeBytes(of: 0, toByteOffset: index * 8 + 4, as: Float.self)
        case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
            // No caller has these as targets: graft reads and copies them, and rounds to none.
            preconditionFailure("floats of 8 bits and fewer are read-only")
        }
    }

    /// The bits of element `index` of several that share bytes.
    private func packed(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> UInt8 {
        let first = index * bitCount
        var word = UInt16(bytes[first / 8])
        if first % 8 + bitCount > 8 { word |= UInt16(bytes[first / 8 + 1]) << 8 }
        return UInt8(truncatingIfNeeded: word >> (first % 8)) & (1 << bitCount - 1)
    }

    private func load<T: BitwiseCopyable>(
        _ bytes: UnsafeRawBufferPointer, _ index: Int, _: T.Type
    ) -> T {
        bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self)
    }

    private func save<T: BitwiseCopyable>(
        _ value: T, _ bytes: UnsafeMutableRawBufferPointer, _ index: Int
    ) {
        bytes.storeBytes(of: value, toByteOffset: index * MemoryLayout<T>.size, as: T.self)
    }

    private func clamped<F: BinaryFloatingPoint, I: FixedWidthInteger>(_ value: F, _: I.Type) -> I {
        guard !value.isNaN else { return 0 }
        return I(exactly: value.rounded(.toNearestOrEven)) ?? (value < 0 ? .min : .max)
    }

    /// Rounds to nearest even, keeping NaN a NaN.
    static func bfloat16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        guard !value.isNaN else { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }

    /// OCP 8-bit E4M3 without infinities (arXiv:2209.05433): bias 7, only 0x7F and 0xFF are NaN.
    static func e4m3(_ bits: UInt8) -> Double {
        bits & 0x7F == 0x7F ? .nan : small(bits, mantissa: 3, bias: 7)
    }

    /// A float of `width` bits without infinities: a sign, an exponent, `mantissa` bits. OCP's
    /// microscaling formats have no NaN; the FNUZ formats (arXiv:2206.02915) have one for -0.
    static func small(
        _ bits: UInt8, width: Int = 8, mantissa: Int, bias: Int, nan: UInt8? = nil
    ) -> Double {
        guard bits != nan else { return .nan }
        let sign: Double = bits >> (width - 1) & 1 == 0 ? 1 : -1
        let exponent = Int(bits >> mantissa) & (1 << (width - 1 - mantissa) - 1)
        let fraction = Double(Int(bits) & (1 << mantissa - 1)) / Double(1 << mantissa)
        let significand = exponent == 0 ? fraction : 1 + fraction
        return sign * significand
            * Double(sign: .plus, exponent: max(exponent, 1) - bias, significand: 1)
    }

    /// OCP microscaling scale E8M0: a power of two with bias 127; 0xFF is NaN.
    static func e8m0(_ bits: UInt8) -> Double {
        bits == 0xFF ? .nan : Double(sign: .plus, exponent: Int(bits) - 127, significand: 1)
    }
}

// The number types that a tensor can hold.

/// An element type, spelled as in the safetensors format
/// (https://github.com/huggingface/safetensors, `Dtype`).
public enum DType: String, Sendable, Hashable, CaseIterable, Codable {
    case bool = "BOOL"
    case f4 = "F4"
    case f6e2m3 = "F6_E2M3"
    case f6e3m2 = "F6_E3M2"
    case u8 = "U8"
    case i8 = "I8"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case f8e8m0 = "F8_E8M0"
    case f8e4m3fnuz = "F8_E4M3FNUZ"
    case f8e5m2fnuz = "F8_E5M2FNUZ"
    case i16 = "I16"
    case u16 = "U16"
    case f16 = "F16"
    case bf16 = "BF16"
    case i32 = "I32"
    case u32 = "U32"
    case f32 = "F32"
    case f64 = "F64"
    case i64 = "I64"
    case u64 = "U64"
    case c64 = "C64"

    /// Bits of one element. Elements narrower than a byte lie packed, the first in the lowest bits.
    public var bitCount: Int {
        switch self {
        case .f4: 4
        case .f6e2m3, .f6e3m2: 6
        case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
        case .i16, .u16, .f16, .bf16: 16
        case .i32, .u32, .f32: 32
        case .f64, .i64, .u64, .c64: 64
        }
    }

    /// Whether several elements share a byte.
    public var isPacked: Bool { bitCount < 8 }

    /// Bytes of one element; of a packed one those that it touches. Bytes of many are
    /// ``Shape/checkedByteCount(_:)``.
    public var byteCount: Int { max(1, bitCount / 8) }

    /// Bytes of `count` elements, which must not overflow.
    func byteCount(of count: Int) -> Int {
        isPacked ? (count * bitCount + 7) / 8 : count * byteCount
    }

    /// Whether the elements are real floating-point numbers.
    public var isFloatingPoint: Bool {
        switch self {
        case .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: true
        case .f16, .bf16, .f32, .f64: true
        case .bool, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64, .c64: false
        }
    }
}

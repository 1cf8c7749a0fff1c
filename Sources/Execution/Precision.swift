// The numbers that products are computed in, and whether this processor has instructions for them.

import CKernels
import Glibc

/// The type of the values and weights between which products are computed; sums are f32 always.
public enum Precision: String, Sendable, CaseIterable {
    /// 32-bit floats.
    case f32
    /// The upper halves of 32-bit floats: 8 bits of mantissa, half the memory.
    case bf16
    /// 8-bit multiples of a scale, which a quantized model knows for each value: a quarter of the memory.
    case int8

    /// Why plans do without it on this machine; nil if they use it.
    ///
    /// `GRAFT_EMULATE=1` lets oneDNN compute it with other instructions, slowly: for tests.
    public var reasonOff: String? {
        switch self {
        case .f32: return nil
        case .bf16:
            if graft_has_bf16() == 2 { return nil }
            if graft_has_bf16() == 1, getenv("GRAFT_EMULATE") != nil { return nil }
            return "this processor has no instructions for bf16 (AVX512-BF16)"
        case .int8:
            return graft_has_int8() != 0
                ? nil : "this processor has no instructions for products of 8 bits (VNNI)"
        }
    }
}

extension ExecutionOptions {
    /// The precision of products on this machine.
    var effectivePrecision: Precision { precision.reasonOff == nil ? precision : .f32 }

    /// Whether products are computed in bf16 here.
    var usesBF16: Bool { precision == .bf16 && precision.reasonOff == nil }

    /// Whether products are computed in eight bits here.
    var usesInt8: Bool { precision == .int8 && precision.reasonOff == nil }
}

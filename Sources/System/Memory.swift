// Comparisons of memory at the speed of libc.

internal import CGraftSystem

/// Bytes in memory.
package enum Memory {
    /// Whether all bytes are zero.
    package static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
        return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
    }
}

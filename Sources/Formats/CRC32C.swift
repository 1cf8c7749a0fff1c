// Castagnoli's checksum, which TensorFlow puts on every block and tensor.

/// CRC-32C (RFC 3720), eight bytes a step, and TensorFlow's masked form of it.
struct CRC32C {
    private var state = UInt32.max

    /// Table `k` advances a byte over `k` more bytes.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
            tables[index] = value
        }
        for index in 256..<2048 {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 0xFF)]
        }
        return tables
    }()

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        Self.tables.withUnsafeBufferPointer { tables in
            var at = 0
            while bytes.count - at >= 8 {
                let word = UInt64(
                    littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                crc = tables[1792 + Int(low & 0xFF)] ^ tables[1536 + Int(low >> 8 & 0xFF)]
                crc ^= tables[1280 + Int(low >> 16 & 0xFF)] ^ tables[1024 + Int(low >> 24)]
                crc ^= tables[768 + Int(high & 0xFF)] ^ tables[512 + Int(high >> 8 & 0xFF)]
                crc ^= tables[256 + Int(high >> 16 & 0xFF)] ^ tables[Int(high >> 24)]
                at += 8
            }
            while at < bytes.count {
                crc = crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[at])) & 0xFF)]
                at += 1
            }
        }
        state = crc
    }

    /// The checksum so that a checksum of data with checksums in it stays sound.
    var masked: UInt32 {
        let crc = ~state
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }
}

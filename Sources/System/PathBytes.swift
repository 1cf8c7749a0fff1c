// Paths are bytes, strings are Unicode: a file name that is not UTF-8 keeps its bytes through a String.

/// Paths as strings without loss: a byte that is not UTF-8 becomes a private character, U+10FF80 to U+10FFFF.
package enum PathBytes {
    private static let base: UInt32 = 0x10_FF00

    /// The string of a path in bytes, without the zero at its end.
    package static func string(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        let bytes = Array(bytes)
        var text = String.UnicodeScalarView()
        var at = 0
        while at < bytes.count {
            let length = (1...4).first { count in
                at + count <= bytes.count
                    && String(validating: bytes[at..<(at + count)], as: UTF8.self) != nil
            }
            if let length {
                text.append(
                    contentsOf: String(decoding: bytes[at..<(at + length)], as: UTF8.self)
                        .unicodeScalars)
                at += length
            } else {
                if let scalar = Unicode.Scalar(base + UInt32(bytes[at])) { text.append(scalar) }
                at += 1
            }
        }
        return String(text)
    }

    /// The string of a path that ends with a zero.
    package static func string(ofCString path: UnsafePointer<CChar>) -> String {
        var count = 0
        while path[count] != 0 { count += 1 }
        return string(UnsafeRawBufferPointer(start: path, count: count))
    }

    /// Whether a path has bytes that are not UTF-8.
    package static func isRaw(_ path: String) -> Bool {
        // U+10FF80 to U+10FFFF begin with F4 8F BE or F4 8F BF.
        path.utf8.contains(0xF4) && path.unicodeScalars.contains { $0.value >= base + 0x80 }
    }

    /// The bytes of a path.
    package static func bytes(_ path: String) -> [UInt8] {
        guard isRaw(path) else { return Array(path.utf8) }
        return path.unicodeScalars.flatMap { scalar in
            scalar.value >= base + 0x80
                ? [UInt8(scalar.value & 0xFF)] : Array(String(scalar).utf8)
        }
    }

    /// Lends the bytes of a path to the system.
    package static func withCString<R>(_ path: String, _ body: (UnsafePointer<CChar>) throws -> R)
        rethrows -> R
    {
        guard isRaw(path) else { return try path.withCString(body) }
        return try (bytes(path).map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
            // An array with a zero in it has an address.
            guard let start = $0.baseAddress else { return try path.withCString(body) }
            return try body(start)
        }
    }
}

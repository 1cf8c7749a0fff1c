// Reads little-endian numbers and runs of bytes, refusing to pass the end.

/// A place in bytes that a stranger wrote: every read is checked and none traps.
struct ByteCursor {
    let bytes: UnsafeRawBufferPointer
    let source: Source
    private(set) var offset: Int

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0, in source: Source) throws {
        self.bytes = bytes
        self.source = source
        self.offset = 0
        try seek(to: offset)
    }

    var remaining: Int { bytes.count - offset }

    mutating func seek(to offset: Int) throws {
        guard offset >= 0, offset <= bytes.count else {
            throw source.malformed(.bytes(.outside(offset: offset, byteCount: bytes.count)))
        }
        self.offset = offset
    }

    /// The next `count` bytes.
    mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else {
            throw source.malformed(
                .bytes(.tooShort(expected: count, at: offset, found: remaining)))
        }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    /// The next little-endian integer.
    mutating func integer<I: FixedWidthInteger & BitwiseCopyable>(_: I.Type) throws -> I {
        I(littleEndian: try take(MemoryLayout<I>.size).loadUnaligned(as: I.self))
    }

    /// The next little-endian integer, as a size or position.
    mutating func size<I: FixedWidthInteger & BitwiseCopyable>(_ type: I.Type) throws -> Int {
        let value = try integer(type)
        guard let size = Int(exactly: value), size >= 0 else {
            throw source.malformed(.bytes(.notSize("\(value)", at: offset)))
        }
        return size
    }

    mutating func byte() throws -> UInt8 { try integer(UInt8.self) }

    /// The next `count` bytes as UTF-8.
    mutating func text(_ count: Int) throws -> String {
        let start = offset
        guard let text = String(validating: try take(count), as: UTF8.self) else {
            throw source.malformed(.bytes(.notText(at: start)))
        }
        return text
    }

    /// The text up to the next newline, which is consumed.
    mutating func line(limit: Int = 4096) throws -> String {
        let window = bytes[offset..<min(bytes.count, offset + limit)]
        guard let end = window.firstIndex(of: 0x0A) else {
            throw source.malformed(.bytes(.openLine(at: offset)))
        }
        defer { offset += 1 }
        return try text(end - offset)
    }
}

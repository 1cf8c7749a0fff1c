// Reads Thrift's compact protocol, in which Parquet writes its metadata, refusing to pass the end.

/// A place in bytes of a stranger: every read is checked and none traps.
struct ThriftReader {
    /// The types of the protocol, with their numbers.
    enum Kind: UInt8 {
        case stop, yes, no, byte, int16, int32, int64, double, binary, list, set, map, structure
    }

    /// What no writer of Parquet reaches: its deepest structure nests about 6.
    static let maximumDepth = 32

    private let bytes: UnsafeRawBufferPointer
    private(set) var offset: Int
    private var depth = 0

    init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(ParquetFlaw) {
        guard offset >= 0, offset <= bytes.count else {
            throw .truncated(expected: offset, found: bytes.count)
        }
        self.bytes = bytes
        self.offset = offset
    }

    private mutating func byte() throws(ParquetFlaw) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(expected: 1, found: 0) }
        defer { offset += 1 }
        return bytes[offset]
    }

    private mutating func varint() throws(ParquetFlaw) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try byte()
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
        }
        throw .outOfRange("varint", found: offset)
    }

    /// The next signed integer of any width.
    mutating func integer() throws(ParquetFlaw) -> Int {
        let raw = try varint()
        return Int(truncatingIfNeeded: raw >> 1) ^ -Int(truncatingIfNeeded: raw & 1)
    }

    /// The next run of bytes.
    mutating func binary() throws(ParquetFlaw) -> UnsafeRawBufferPointer {
        let count = try varint()
        guard count <= UInt64(bytes.count - offset) else {
            throw .truncated(expected: Int(clamping: count), found: bytes.count - offset)
        }
        defer { offset += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + Int(count))])
    }

    /// The next run of bytes as text.
    mutating func text() throws(ParquetFlaw) -> String {
        guard let text = String(validating: try binary(), as: UTF8.self) else { throw .text }
        return text
    }

    /// Visits each field of a structure; `visit` reads it and gives true, or leaves it and gives false.
    mutating func structure(
        _ visit: (inout ThriftReader, _ field: Int, _ kind: Kind) throws(ParquetFlaw) -> Bool
    ) throws(ParquetFlaw) {
        guard depth < Self.maximumDepth else { throw .thriftDepth(Self.maximumDepth) }
        depth += 1
        defer { depth -= 1 }
        var field = 0
        while true {
            let head = try byte()
            guard let kind = Kind(rawValue: head & 15) else {
                throw .thriftType(field: field, found: Int(head & 15))
            }
            if kind == .stop { return }
            field = head >> 4 == 0 ? try integer() : field &+ Int(head >> 4)
            guard field >= 0, field <= 1 << 15 else { throw .outOfRange("field", found: field) }
            if try !visit(&self, field, kind) { try skip(kind) }
        }
    }

    /// Visits each element of a list.
    mutating func list(
        _ visit: (inout ThriftReader, _ kind: Kind) throws(ParquetFlaw) -> Void
    ) throws(ParquetFlaw) {
        let head = try byte()
        guard let kind = Kind(rawValue: head & 15), kind != .stop else {
            throw .thriftType(field: 0, found: Int(head & 15))
        }
        let count = head >> 4 == 15 ? try varint() : UInt64(head >> 4)
        // An element takes at least one byte.
        guard count <= UInt64(bytes.count - offset) else {
            throw .truncated(expected: Int(clamping: count), found: bytes.count - offset)
        }
        for _ in 0..<Int(count) { try visit(&self, kind) }
    }

    /// Passes over a value.
    mutating func skip(_ kind: Kind, inList: Bool = false) throws(ParquetFlaw) {
        switch kind {
        case .stop: throw .thriftType(field: 0, found: 0)
        case .yes, .no: if inList { _ = try byte() }
        case .byte: _ = try byte()
        case .int16, .int32, .int64: _ = try varint()
        case .double: for _ in 0..<8 { _ = try byte() }
        case .binary: _ = try binary()
        case .list, .set:
            guard depth < Self.maximumDepth else { throw .thriftDepth(Self.maximumDepth) }
            depth += 1
            defer { depth -= 1 }
            try list { (reader, kind) throws(ParquetFlaw) in try reader.skip(kind, inList: true) }
        case .map: try skipMap()
        case .structure: try structure { (_, _, _) throws(ParquetFlaw) in false }
        }
    }

    private mutating func skipMap() throws(ParquetFlaw) {
        guard depth < Self.maximumDepth else { throw .thriftDepth(Self.maximumDepth) }
        depth += 1
        defer { depth -= 1 }
        let count = try varint()
        guard count > 0 else { return }
        guard count <= UInt64(bytes.count - offset) else {
            throw .truncated(expected: Int(clamping: count), found: bytes.count - offset)
        }
        let head = try byte()
        guard let key = Kind(rawValue: head >> 4), let value = Kind(rawValue: head & 15) else {
            throw .thriftType(field: 0, found: Int(head))
        }
        for _ in 0..<Int(count) {
            try skip(key, inList: true)
            try skip(value, inList: true)
        }
    }
}

/// Writes Thrift's compact protocol.
struct ThriftWriter {
    private(set) var bytes: [UInt8] = []
    /// The last field of each open structure.
    private var fields = [0]

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func zigzag(_ value: Int) {
        varint(UInt64(bitPattern: Int64(value << 1 ^ value >> 63)))
    }

    private mutating func head(_ field: Int, kind: ThriftReader.Kind) {
        let step = field - (fields.last ?? 0)
        if (1...15).contains(step) {
            bytes.append(UInt8(step) << 4 | kind.rawValue)
        } else {
            bytes.append(kind.rawValue)
            zigzag(field)
        }
        fields[fields.count - 1] = field
    }

    mutating func add(_ field: Int, int32 value: Int) {
        head(field, kind: .int32)
        zigzag(value)
    }

    mutating func add(_ field: Int, int64 value: Int) {
        head(field, kind: .int64)
        zigzag(value)
    }

    mutating func add(_ field: Int, bool value: Bool) { head(field, kind: value ? .yes : .no) }

    mutating func add(_ field: Int, text value: String) {
        head(field, kind: .binary)
        put(text: value)
    }

    mutating func put(text value: String) {
        varint(UInt64(value.utf8.count))
        bytes += Array(value.utf8)
    }

    mutating func put(int32 value: Int) { zigzag(value) }

    mutating func add(_ field: Int, structure body: (inout ThriftWriter) -> Void) {
        head(field, kind: .structure)
        put(structure: body)
    }

    mutating func put(structure body: (inout ThriftWriter) -> Void) {
        fields.append(0)
        body(&self)
        fields.removeLast()
        bytes.append(0)
    }

    /// A list of `count` elements, each of which `body` puts.
    mutating func add(
        _ field: Int, listOf kind: ThriftReader.Kind, count: Int,
        _ body: (inout ThriftWriter, Int) -> Void
    ) {
        head(field, kind: .list)
        if count < 15 {
            bytes.append(UInt8(count) << 4 | kind.rawValue)
        } else {
            bytes.append(0xF0 | kind.rawValue)
            varint(UInt64(count))
        }
        for index in 0..<count { body(&self, index) }
    }
}

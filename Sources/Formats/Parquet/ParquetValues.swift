// The values of a page: plain, by dictionary, as differences, or with their bytes in streams.

/// A value of a column.
package enum ParquetValue: Sendable, Hashable {
    /// No value.
    case null
    /// A truth value.
    case boolean(Bool)
    /// An integer of any width.
    case integer(Int64)
    /// A floating point number.
    case number(Double)
    /// Bytes or text, where they are.
    case bytes(ParquetBytes)
    /// A list of values.
    case list([ParquetValue])
}

/// Bytes of a value: a part of the file, of a page that has to be decompressed, or in memory.
package enum ParquetBytes: Sendable, Hashable {
    /// A range of the file itself.
    case file(Range<Int>)
    /// A range of the decompressed page whose header is at this byte.
    case page(Int, ParquetCodec, Range<Int>)
    /// Bytes that the encoding spreads over the page.
    case memory([UInt8])
}

/// Where the decompressed values of a page are.
struct PagePlace {
    /// The byte of the page's header.
    var header: Int
    var codec: ParquetCodec
    /// Where the values start in the file, if they are stored as they are.
    var start: Int?

    func bytes(_ range: Range<Int>) -> ParquetBytes {
        guard let start else { return .page(header, codec, range) }
        return .file((start + range.lowerBound)..<(start + range.upperBound))
    }
}

/// Decodes the values of one column.
struct ValueDecoder {
    let column: ParquetColumn

    private var typeName: String {
        switch column.type {
        case .boolean: "boolean"
        case .int32, .int64, .int96: "integer"
        case .float, .double: "floating point"
        case .byteArray, .fixedLengthByteArray: "byte"
        }
    }

    /// Reads `count` values of an encoding other than a dictionary's from `reader`.
    func values(
        _ reader: inout PageReader, encoding: Int, count: Int, place: PagePlace
    ) throws(ParquetFlaw) -> [ParquetValue] {
        switch (encoding, column.type) {
        case (0, _): try plain(from: &reader, count: count, at: place)
        case (3, .boolean): try runs(from: &reader, count: count)
        case (5, .int32), (5, .int64): try deltas(from: &reader, count: count)
        case (6, .byteArray): try lengths(from: &reader, count: count, at: place)
        case (7, .byteArray), (7, .fixedLengthByteArray): try prefixes(from: &reader, count: count)
        case (9, .int32), (9, .int64), (9, .float), (9, .double), (9, .fixedLengthByteArray):
            try streams(from: &reader, count: count)
        default: throw .encoding(encoding, type: typeName)
        }
    }

    private func plain(
        from reader: inout PageReader, count: Int, at place: PagePlace
    )
        throws(ParquetFlaw) -> [ParquetValue]
    {
        var values: [ParquetValue] = []
        // A value takes at least a bit, so that a page bounds what it asks for.
        guard count <= reader.remaining * 8 else {
            throw .truncated(expected: count / 8, found: reader.remaining)
        }
        values.reserveCapacity(count)
        switch column.type {
        case .boolean:
            try reader.packed(width: 1, count: count) { (bit) throws(ParquetFlaw) in
                values.append(.boolean(bit == 1))
            }
        case .int32:
            for _ in 0..<count { values.append(integer(UInt64(try reader.load(UInt32.self)))) }
        case .int64:
            for _ in 0..<count { values.append(integer(try reader.load(UInt64.self))) }
        case .float:
            for _ in 0..<count {
                values.append(.number(Double(Float(bitPattern: try reader.load(UInt32.self)))))
            }
        case .double:
            for _ in 0..<count {
                values.append(.number(Double(bitPattern: try reader.load(UInt64.self))))
            }
        case .byteArray:
            for _ in 0..<count {
                let length = Int(try reader.load(UInt32.self))
                values.append(.bytes(place.bytes(try reader.take(length))))
            }
        case .int96, .fixedLengthByteArray:
            for _ in 0..<count {
                values.append(fixed(try reader.take(column.typeLength), in: reader.bytes, place))
            }
        }
        return values
    }

    /// An integer from its bits, by the type's width and sign; a decimal one as the number that it is.
    private func integer(_ bits: UInt64) -> ParquetValue {
        let value: Int64 =
            switch (column.type, column.isUnsigned) {
            case (.int32, false): Int64(Int32(truncatingIfNeeded: bits))
            case (.int32, true): Int64(UInt32(truncatingIfNeeded: bits))
            default: Int64(bitPattern: bits)
            }
        if let scale = column.scale, (1...18).contains(scale) {
            return .number(Double(value) / (0..<scale).reduce(1.0) { power, _ in power * 10 })
        }
        return .integer(value)
    }

    private func fixed(
        _ range: Range<Int>, in bytes: UnsafeRawBufferPointer, _ place: PagePlace
    ) -> ParquetValue {
        guard column.isHalf, range.count == 2 else { return .bytes(place.bytes(range)) }
        let bits = UInt16(
            littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt16.self))
        return .number(Double(Float16(bitPattern: bits)))
    }

    private func runs(from reader: inout PageReader, count: Int) throws(ParquetFlaw)
        -> [ParquetValue]
    {
        var part = PageReader(try sized(&reader))
        var values: [ParquetValue] = []
        try part.hybrid(width: 1, count: count) { (value) throws(ParquetFlaw) in
            values.append(.boolean(value == 1))
        }
        return values
    }

    /// Bytes behind their length of four bytes.
    private func sized(_ reader: inout PageReader) throws(ParquetFlaw) -> UnsafeRawBufferPointer {
        let range = try reader.take(Int(try reader.load(UInt32.self)))
        return UnsafeRawBufferPointer(rebasing: reader.bytes[range])
    }

    private func deltas(from reader: inout PageReader, count: Int) throws(ParquetFlaw)
        -> [ParquetValue]
    {
        var values: [ParquetValue] = []
        try reader.deltas(limit: count) { (value) throws(ParquetFlaw) in
            values.append(integer(UInt64(bitPattern: value)))
        }
        guard values.count == count else {
            throw .valueCount(expected: count, found: values.count)
        }
        return values
    }

    private func sizes(from reader: inout PageReader, count: Int) throws(ParquetFlaw) -> [Int] {
        var sizes: [Int] = []
        try reader.deltas(limit: count) { (value) throws(ParquetFlaw) in
            guard let size = Int(exactly: value), size >= 0, size <= PageHeader.maximumSize else {
                throw .outOfRange("length", found: Int(clamping: value))
            }
            sizes.append(size)
        }
        guard sizes.count == count else { throw .valueCount(expected: count, found: sizes.count) }
        return sizes
    }

    private func lengths(
        from reader: inout PageReader, count: Int, at place: PagePlace
    )
        throws(ParquetFlaw) -> [ParquetValue]
    {
        var values: [ParquetValue] = []
        for size in try sizes(from: &reader, count: count) {
            values.append(.bytes(place.bytes(try reader.take(size))))
        }
        return values
    }

    /// Each value is the start of the one before it, and bytes of its own.
    private func prefixes(from reader: inout PageReader, count: Int) throws(ParquetFlaw)
        -> [ParquetValue]
    {
        let shared = try sizes(from: &reader, count: count)
        let own = try sizes(from: &reader, count: count)
        var values: [ParquetValue] = []
        var last: [UInt8] = []
        // Values that repeat what is before them may be many times the page.
        var room = PageHeader.maximumSize
        for (prefix, size) in zip(shared, own) {
            guard prefix <= last.count else {
                throw .outOfRange("prefix length", found: prefix)
            }
            let range = try reader.take(size)
            last = last.prefix(prefix) + Array(reader.bytes[range])
            room -= last.count
            guard room >= 0 else {
                throw .pageLength(PageHeader.maximumSize - room, limit: PageHeader.maximumSize)
            }
            values.append(.bytes(.memory(last)))
        }
        return values
    }

    /// The first bytes of all values, then the second bytes of all, and so on.
    private func streams(from reader: inout PageReader, count: Int) throws(ParquetFlaw)
        -> [ParquetValue]
    {
        let width =
            switch column.type {
            case .int32, .float: 4
            case .int64, .double: 8
            default: column.typeLength
            }
        let (total, overflow) = width.multipliedReportingOverflow(by: count)
        guard !overflow else { throw .truncated(expected: .max, found: reader.remaining) }
        let range = try reader.take(total)
        return (0..<count).map { index in
            let bytes = (0..<width).map { reader.bytes[range.lowerBound + $0 * count + index] }
            let bits = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            switch column.type {
            case .float: return .number(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
            case .double: return .number(Double(bitPattern: bits))
            case .int32, .int64: return integer(bits)
            default:
                return column.isHalf && width == 2
                    ? .number(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
                    : .bytes(.memory(bytes))
            }
        }
    }
}

// The footer of a Parquet file and the headers of its pages, as the format's Thrift file has them.

/// How bytes of a page are compressed.
package enum ParquetCodec: Int, Sendable, Hashable, CaseIterable {
    /// Not at all.
    case uncompressed = 0
    /// Snappy.
    case snappy = 1
    /// Gzip.
    case gzip = 2
    /// Brotli.
    case brotli = 4
    /// LZ4 in the frames of Hadoop.
    case lz4Hadoop = 5
    /// Zstandard.
    case zstd = 6
    /// Blocks of LZ4.
    case lz4 = 7
}

/// The physical types.
package enum ParquetType: Int, Sendable, Hashable {
    /// One bit.
    case boolean = 0
    /// 32-bit integers.
    case int32 = 1
    /// 64-bit integers.
    case int64 = 2
    /// 96-bit time stamps of old writers.
    case int96 = 3
    /// 32-bit floating point.
    case float = 4
    /// 64-bit floating point.
    case double = 5
    /// Bytes of any length.
    case byteArray = 6
    /// Bytes of one length.
    case fixedLengthByteArray = 7
}

/// A node of the schema as it is written, in depth-first order.
struct SchemaElement {
    var type: ParquetType?
    var typeLength = 0
    /// 0 required, 1 optional, 2 repeated.
    var repetition = 0
    var name = ""
    var childCount = 0
    /// Whether it is annotated as a list.
    var isList = false
    /// Whether it is an integer without a sign.
    var isUnsigned = false
    /// Whether it is a 16-bit floating point number.
    var isHalf = false
    /// Whether it is text.
    var isText = false
    /// The decimal digits after the point of an integer that stands for a decimal number.
    var scale: Int?
}

/// The pages of one column in one row group.
struct ColumnChunk {
    var codec: ParquetCodec
    var valueCount: Int
    /// Where its first page starts.
    var start: Int
    var byteCount: Int
}

/// The footer.
struct ParquetFooter {
    var schema: [SchemaElement] = []
    var rowCount = 0
    var groups: [(rowCount: Int, chunks: [ColumnChunk])] = []
    var pairs: [(key: String, value: String)] = []

    init(_ bytes: UnsafeRawBufferPointer) throws(ParquetFlaw) {
        var reader = try ThriftReader(bytes)
        var schema: [SchemaElement] = []
        var rowCount: Int?
        var groups: [(rowCount: Int, chunks: [ColumnChunk])] = []
        var pairs: [(key: String, value: String)] = []
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (2, .list):
                try reader.list { (reader, _) throws(ParquetFlaw) in
                    schema.append(try SchemaElement(&reader))
                }
            case (3, .int64): rowCount = try reader.integer()
            case (4, .list):
                try reader.list { (reader, _) throws(ParquetFlaw) in
                    groups.append(try Self.group(&reader))
                }
            case (5, .list):
                try reader.list { (reader, _) throws(ParquetFlaw) in
                    pairs.append(try Self.pair(&reader))
                }
            case (8, .structure): throw .encrypted
            default: return false
            }
            return true
        }
        guard let rowCount else { throw .missingField("num_rows") }
        guard rowCount >= 0 else { throw .outOfRange("num_rows", found: rowCount) }
        (self.schema, self.rowCount, self.groups, self.pairs) = (schema, rowCount, groups, pairs)
    }

    private static func pair(_ reader: inout ThriftReader) throws(ParquetFlaw) -> (
        key: String, value: String
    ) {
        var pair = (key: "", value: "")
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (1, .binary): pair.key = String(decoding: try reader.binary(), as: UTF8.self)
            case (2, .binary): pair.value = String(decoding: try reader.binary(), as: UTF8.self)
            default: return false
            }
            return true
        }
        return pair
    }

    private static func group(_ reader: inout ThriftReader) throws(ParquetFlaw) -> (
        rowCount: Int, chunks: [ColumnChunk]
    ) {
        var chunks: [ColumnChunk] = []
        var rowCount: Int?
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (1, .list):
                try reader.list { (reader, _) throws(ParquetFlaw) in
                    chunks.append(try ColumnChunk(&reader))
                }
            case (3, .int64): rowCount = try reader.integer()
            default: return false
            }
            return true
        }
        guard let rowCount else { throw .missingField("row_groups.num_rows") }
        guard rowCount >= 0 else { throw .outOfRange("row_groups.num_rows", found: rowCount) }
        return (rowCount, chunks)
    }
}

extension SchemaElement {
    init(_ reader: inout ThriftReader) throws(ParquetFlaw) {
        var element = SchemaElement()
        var named = false
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (1, .int32):
                let code = try reader.integer()
                guard let type = ParquetType(rawValue: code) else {
                    throw .outOfRange("type", found: code)
                }
                element.type = type
            case (2, .int32): element.typeLength = try reader.integer()
            case (3, .int32): element.repetition = try reader.integer()
            case (4, .binary):
                element.name = try reader.text()
                named = true
            case (5, .int32): element.childCount = try reader.integer()
            case (6, .int32): try element.annotate(converted: reader.integer())
            case (7, .int32): element.scale = try reader.integer()
            case (10, .structure):
                try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
                    try element.annotate(logical: field, kind: kind, from: &reader)
                }
            default: return false
            }
            return true
        }
        guard named else { throw .missingField("schema.name") }
        guard (0...2).contains(element.repetition) else {
            throw .outOfRange("repetition_type", found: element.repetition)
        }
        guard element.childCount >= 0 else {
            throw .outOfRange("num_children", found: element.childCount)
        }
        self = element
    }

    /// What the older annotation says.
    private mutating func annotate(converted code: Int) {
        switch code {
        case 0, 4, 19: isText = true  // UTF8, ENUM, JSON
        case 3: isList = true
        case 11...14: isUnsigned = true
        default: break
        }
    }

    /// What the newer annotation says; it is a union.
    private mutating func annotate(
        logical field: Int, kind: ThriftReader.Kind, from reader: inout ThriftReader
    ) throws(ParquetFlaw) -> Bool {
        switch field {
        case 1, 4, 12: isText = true
        case 3: isList = true
        case 15: isHalf = true
        case 10 where kind == .structure:
            var isSigned = true
            try reader.structure { (_, field, kind) throws(ParquetFlaw) in
                // A Boolean is its type and has no bytes.
                guard field == 2, kind == .yes || kind == .no else { return false }
                isSigned = kind == .yes
                return true
            }
            isUnsigned = !isSigned
            return true
        default: break
        }
        return false
    }
}

extension ColumnChunk {
    init(_ reader: inout ThriftReader) throws(ParquetFlaw) {
        var chunk: ColumnChunk?
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (1, .binary):
                let path = try reader.text()
                guard path.isEmpty else { throw .otherFile(path) }
            case (3, .structure): chunk = try Self.metadata(&reader)
            case (8, .structure): throw .encrypted
            default: return false
            }
            return true
        }
        guard let chunk else { throw .missingField("columns.meta_data") }
        self = chunk
    }

    private static func metadata(_ reader: inout ThriftReader) throws(ParquetFlaw) -> ColumnChunk {
        var (codec, values, data, dictionary, length): (Int?, Int?, Int?, Int?, Int?)
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (4, .int32): codec = try reader.integer()
            case (5, .int64): values = try reader.integer()
            case (7, .int64): length = try reader.integer()
            case (9, .int64): data = try reader.integer()
            case (11, .int64): dictionary = try reader.integer()
            default: return false
            }
            return true
        }
        guard let codec, let values, let data, let length else {
            throw .missingField("codec, num_values, total_compressed_size or data_page_offset")
        }
        guard let known = ParquetCodec(rawValue: codec) else { throw .codec(codec) }
        guard values >= 0 else { throw .outOfRange("num_values", found: values) }
        guard length >= 0 else { throw .outOfRange("total_compressed_size", found: length) }
        // Some writers leave a 0 where there is no dictionary.
        let start = dictionary.map { $0 > 0 ? min($0, data) : data } ?? data
        guard start >= 4 || values == 0 else { throw .outOfRange("data_page_offset", found: start) }
        return ColumnChunk(codec: known, valueCount: values, start: start, byteCount: length)
    }
}

/// The header before each page.
struct PageHeader {
    enum Kind: Int {
        case data = 0
        case index = 1
        case dictionary = 2
        case dataV2 = 3
    }

    var kind: Kind
    /// The bytes of the page when decompressed, and in the file.
    var size: Int
    var storedSize: Int
    var checksum: UInt32?
    var valueCount = 0
    var encoding = 0
    /// Version 2 only: the levels are stored before what is compressed.
    var definitionByteCount = 0
    var repetitionByteCount = 0
    var isCompressed = true
    /// The bytes of the header itself.
    var headerByteCount = 0

    /// What graft reads into memory at once.
    static let maximumSize = 1 << 29

    /// Reads the header at `offset` of the file.
    init(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(ParquetFlaw) {
        var reader = try ThriftReader(bytes, at: offset)
        var (type, size, stored): (Int?, Int?, Int?)
        var header = PageHeader(kind: .index, size: 0, storedSize: 0)
        try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
            switch (field, kind) {
            case (1, .int32): type = try reader.integer()
            case (2, .int32): size = try reader.integer()
            case (3, .int32): stored = try reader.integer()
            case (4, .int32): header.checksum = UInt32(truncatingIfNeeded: try reader.integer())
            case (5, .structure), (7, .structure), (8, .structure):
                let isSecond = field == 8
                try reader.structure { (reader, field, kind) throws(ParquetFlaw) in
                    switch (field, kind) {
                    case (1, .int32): header.valueCount = try reader.integer()
                    case (2, .int32) where !isSecond: header.encoding = try reader.integer()
                    case (4, .int32) where isSecond: header.encoding = try reader.integer()
                    case (5, .int32) where isSecond:
                        header.definitionByteCount = try reader.integer()
                    case (6, .int32) where isSecond:
                        header.repetitionByteCount = try reader.integer()
                    case (7, .yes), (7, .no): header.isCompressed = kind == .yes
                    default: return false
                    }
                    return true
                }
            default: return false
            }
            return true
        }
        guard let type, let size, let stored else { throw .missingField("page header") }
        guard let kind = Kind(rawValue: type) else { throw .outOfRange("page type", found: type) }
        guard size >= 0, size <= Self.maximumSize, stored >= 0 else {
            throw .pageLength(max(size, stored), limit: Self.maximumSize)
        }
        let rest = bytes.count - reader.offset
        guard stored <= rest else { throw .truncated(expected: stored, found: rest) }
        guard header.valueCount >= 0 else {
            throw .outOfRange("page num_values", found: header.valueCount)
        }
        let (levels, overflow) = header.definitionByteCount.addingReportingOverflow(
            header.repetitionByteCount)
        guard
            !overflow, header.definitionByteCount >= 0, header.repetitionByteCount >= 0,
            levels <= stored, levels <= size
        else { throw .outOfRange("levels_byte_length", found: levels) }
        header.kind = kind
        header.size = size
        header.storedSize = stored
        header.headerByteCount = reader.offset - offset
        self = header
    }

    private init(kind: Kind, size: Int, storedSize: Int) {
        self.kind = kind
        self.size = size
        self.storedSize = storedSize
    }
}

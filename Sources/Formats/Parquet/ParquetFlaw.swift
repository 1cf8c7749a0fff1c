// What can be wrong with a Parquet file: the causes, and the only prose about them.

import GraftTensors

/// One way in which the bytes of a Parquet file contradict the format, or ask for what is not read.
package enum ParquetFlaw: Error, Equatable {
    /// The file does not start and end with `PAR1`.
    case noMagic
    /// The footer is encrypted.
    case encrypted
    /// The length of the footer does not fit into the file.
    case footerLength(Int, fileLength: Int)
    /// More bytes are needed than there are.
    case truncated(expected: Int, found: Int)
    /// A value of the Thrift compact protocol of another type than the format asks for.
    case thriftType(field: Int, found: Int)
    /// Structures nest deeper than any writer makes them.
    case thriftDepth(Int)
    /// A field that the format requires is missing.
    case missingField(String)
    /// A number that no writer writes there.
    case outOfRange(String, found: Int)
    /// The schema is not a tree of its elements.
    case brokenSchema(element: Int)
    /// More rows or values than a file of this size can hold.
    case tooMany(String, found: Int, limit: Int)
    /// A row group has another number of column chunks than the schema has columns.
    case columnCount(expected: Int, found: Int)
    /// There is no such column.
    case noColumn(String, found: [String])
    /// A page's checksum differs from its bytes'.
    case checksum(page: Int)
    /// A page is larger than graft reads.
    case pageLength(Int, limit: Int)
    /// A page does not decompress to the size that it states.
    case decompression(String, expected: Int, found: Int?)
    /// A compression that is not read.
    case codec(Int)
    /// An encoding that is not read for this type.
    case encoding(Int, type: String)
    /// A dictionary is missing, or an index lies outside of it.
    case dictionary(index: Int, count: Int)
    /// A level is larger than the schema allows.
    case level(Int, limit: Int)
    /// A column has another number of values or rows than its row group states.
    case valueCount(expected: Int, found: Int)
    /// The data lie in another file.
    case otherFile(String)
    /// Text that is not UTF-8.
    case text
}

extension ParquetFlaw {
    /// The cause in words.
    var explanation: String {
        switch self {
        case .noMagic: "expected `PAR1` at its start and end"
        case .encrypted: "it is encrypted, which graft does not read"
        case .footerLength(let length, let fileLength):
            "its footer has \(length) bytes, the file \(fileLength)"
        case .truncated(let expected, let found): "expected \(expected) more bytes, found \(found)"
        case .thriftType(let field, let found):
            "field \(field) of its metadata has the unexpected type \(found)"
        case .thriftDepth(let limit): "its metadata nest deeper than \(limit)"
        case .missingField(let name): "its metadata have no `\(name)`"
        case .outOfRange(let name, let found): "invalid `\(name)`: \(found)"
        case .brokenSchema(let element): "its schema is not a tree at element \(element)"
        case .tooMany(let name, let found, let limit):
            "expected at most \(limit) \(name) in a file of this size, found \(found)"
        case .columnCount(let expected, let found):
            "a row group has \(found) columns, the schema \(expected)"
        case .noColumn(let name, let found):
            "unknown column `\(name)`; it has `\(found.joined(separator: ", "))`"
        case .checksum(let page): "the page at byte \(page) does not match its checksum"
        case .pageLength(let length, let limit):
            "expected pages of at most \(limit) bytes, found \(length)"
        case .decompression(let codec, let expected, let found):
            "a page does not decompress (\(codec)): expected \(expected) bytes, found "
                + (found.map { "\($0)" } ?? "damaged data")
        case .codec(let code):
            "unsupported compression \(code); graft reads snappy, gzip, brotli, lz4 and zstd"
        case .encoding(let code, let type): "unsupported encoding \(code) of \(type) values"
        case .dictionary(let index, let count):
            "a value has the dictionary index \(index), the dictionary \(count) entries"
        case .level(let level, let limit): "expected levels of at most \(limit), found \(level)"
        case .valueCount(let expected, let found):
            "expected \(expected) values in a column of a row group, found \(found)"
        case .otherFile(let path): "its data are stored externally, in `\(path)`"
        case .text: "expected UTF-8 text in one of its columns"
        }
    }

    /// What to do about it.
    var remedy: String? {
        switch self {
        case .encrypted, .codec, .encoding, .otherFile:
            "write it again, for example with pyarrow: "
                + "`pq.write_table(pq.read_table(\"in.parquet\"), \"out.parquet\")`"
        case .noColumn: "name one of its columns"
        case .pageLength: "write it with smaller row groups"
        default: "the file may be incomplete or damaged: fetch it again"
        }
    }
}

/// A Parquet file that cannot be read: which, and why.
package struct ParquetError: Diagnostic, Equatable {
    /// The file.
    package let path: String
    /// The cause.
    package let flaw: ParquetFlaw

    /// An error about a file.
    package init(path: String, flaw: ParquetFlaw) {
        self.path = path
        self.flaw = flaw
    }

    /// The cause in words.
    package var message: String { "cannot read `\(path)` as Parquet: \(flaw.explanation)" }
    /// The remedy.
    package var hint: String? { flaw.remedy }
}

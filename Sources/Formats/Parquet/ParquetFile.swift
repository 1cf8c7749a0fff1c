// A Parquet file: its columns, its metadata, and the values of a column row by row.

import GraftTensors
import Synchronization

/// A mapped Parquet file. Columns are decoded on demand; bytes of values stay where they are until
/// they are asked for, so that a file of images is never unpacked as a whole.
package final class ParquetFile: Sendable {
    /// The file.
    package let path: String
    /// Its columns, in the order of the schema.
    package let columns: [ParquetColumn]
    /// The number of rows.
    package let rowCount: Int
    /// What the writer added, in the order of the file: `huggingface` describes the features of a data
    /// set.
    package let metadata: [(key: String, value: String)]
    /// The number of rows in each row group.
    package var groupRowCounts: [Int] { footer.groups.map(\.rowCount) }

    private let storage: Storage
    private let footer: ParquetFooter
    private let recent = Mutex(RecentPages())

    /// Where a row's metadata start at the earliest, and rows per byte that no writer exceeds with
    /// anything but constants.
    private static let rowsPerByte = 64
    private static let freeRowCount = 1_000_000

    /// Maps a file and reads its footer.
    ///
    /// - Throws: ``ParquetError``, or `FileError`.
    package init(_ path: String) throws {
        let storage = try Storage(mapping: path)
        let (footer, columns) = try Self.wrapping(path) { () throws(ParquetFlaw) in
            try storage.withBytes { (bytes) throws(ParquetFlaw) in
                try Self.open(bytes)
            }
        }
        self.path = path
        self.storage = storage
        self.footer = footer
        self.columns = columns
        rowCount = footer.rowCount
        metadata = footer.pairs
    }

    /// Whether bytes start as a Parquet file does.
    package static func isParquet(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.starts(with: "PAR1".utf8) || bytes.starts(with: "PARE".utf8)
    }

    private static func wrapping<R>(_ path: String, _ body: () throws(ParquetFlaw) -> R)
        throws(ParquetError) -> R
    {
        do { return try body() } catch { throw ParquetError(path: path, flaw: error) }
    }

    private static func open(_ bytes: UnsafeRawBufferPointer) throws(ParquetFlaw) -> (
        ParquetFooter, [ParquetColumn]
    ) {
        guard bytes.count >= 12, bytes.starts(with: "PAR1".utf8) || bytes.starts(with: "PARE".utf8)
        else { throw .noMagic }
        let tail = bytes[(bytes.count - 4)...]
        guard !tail.elementsEqual("PARE".utf8) else { throw .encrypted }
        guard tail.elementsEqual("PAR1".utf8) else { throw .noMagic }
        let length = Int(
            UInt32(
                littleEndian: bytes.loadUnaligned(
                    fromByteOffset: bytes.count - 8, as: UInt32.self)))
        guard length <= bytes.count - 12 else {
            throw .footerLength(length, fileLength: bytes.count)
        }
        let start = bytes.count - 8 - length
        let footer = try ParquetFooter(
            UnsafeRawBufferPointer(rebasing: bytes[start..<(bytes.count - 8)]))
        let columns = try ParquetColumn.leaves(of: footer.schema)
        try check(footer, columns: columns.count, byteCount: bytes.count)
        return (footer, columns)
    }

    /// Numbers that a few bytes may state and that memory is taken for later.
    private static func check(_ footer: ParquetFooter, columns: Int, byteCount: Int)
        throws(ParquetFlaw)
    {
        let limit = freeRowCount + rowsPerByte * byteCount
        var rows = 0
        var values = [Int](repeating: 0, count: columns)
        func add(_ count: Int, to total: inout Int, _ name: String) throws(ParquetFlaw) {
            let (sum, overflow) = total.addingReportingOverflow(count)
            guard !overflow, sum <= limit else { throw .tooMany(name, found: count, limit: limit) }
            total = sum
        }
        for group in footer.groups {
            guard group.chunks.count == columns else {
                throw .columnCount(expected: columns, found: group.chunks.count)
            }
            try add(group.rowCount, to: &rows, "rows")
            for (index, chunk) in group.chunks.enumerated() {
                try add(chunk.valueCount, to: &values[index], "values")
            }
        }
        guard rows == footer.rowCount else {
            throw .valueCount(expected: footer.rowCount, found: rows)
        }
    }

    /// The column of this name, in any case.
    package func column(_ name: String) -> Int? {
        columns.firstIndex { $0.name == name }
            ?? columns.firstIndex { $0.name.lowercased() == name.lowercased() }
    }

    /// What the writer added under this key.
    package func metadata(_ key: String) -> String? { metadata.first { $0.key == key }?.value }

    /// The values of a column, one per row.
    ///
    /// - Parameter group: The row group; nil is all of them.
    package func values(column: Int, group: Int? = nil) throws -> [ParquetValue] {
        precondition(columns.indices.contains(column))
        let groups = group.map { $0..<($0 + 1) } ?? footer.groups.indices
        precondition(groups.lowerBound >= 0 && groups.upperBound <= footer.groups.count)
        return try Self.wrapping(path) { () throws(ParquetFlaw) in
            try storage.withBytes { (bytes) throws(ParquetFlaw) in
                var values: [ParquetValue] = []
                for group in footer.groups[groups] {
                    let chunk = group.chunks[column]
                    var walker = try PageWalker(of: columns[column], chunk: chunk, in: bytes)
                    var builder = RecordBuilder(columns[column])
                    while let page = try walker.next() {
                        try builder.add(page, limit: group.rowCount)
                    }
                    values += try builder.finish(count: group.rowCount)
                }
                return values
            }
        }
    }

    /// Lends the bytes of a value.
    package func withBytes<R>(
        _ place: ParquetBytes, _ body: (UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        switch place {
        case .memory(let bytes): return try bytes.withUnsafeBytes(body)
        case .file(let range):
            return try storage.withBytes { bytes in
                guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
                    throw ParquetError(
                        path: path,
                        flaw: .truncated(expected: range.upperBound, found: bytes.count))
                }
                return try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        case .page(let header, let codec, let range):
            return try page(at: header, codec: codec).withBytes { bytes in
                guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
                    throw ParquetError(
                        path: path,
                        flaw: .truncated(expected: range.upperBound, found: bytes.count))
                }
                return try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
        }
    }

    /// A value's bytes as text; broken UTF-8 is an error.
    package func text(_ place: ParquetBytes) throws -> String {
        let text = try withBytes(place) { String(validating: $0, as: UTF8.self) }
        guard let text else { throw ParquetError(path: path, flaw: .text) }
        return text
    }

    /// A decompressed page, kept for who asks for its next value.
    private func page(at header: Int, codec: ParquetCodec) throws -> Storage {
        if let page = recent.withLock({ $0.find(header) }) { return page }
        let page = try Self.wrapping(path) { () throws(ParquetFlaw) in
            try storage.withBytes { (bytes) throws(ParquetFlaw) in
                let head = try PageHeader(bytes, at: header)
                return try PageBytes.withValues(of: head, at: header, in: bytes, codec: codec) {
                    (values, _) throws(ParquetFlaw) in
                    Storage(byteCount: values.count) { $0.copyMemory(from: values) }
                }
            }
        }
        recent.withLock { $0.keep(page, at: header) }
        return page
    }
}

/// The pages that were decompressed last.
private struct RecentPages {
    private var pages: [(header: Int, page: Storage)] = []
    private static let byteLimit = 256 << 20
    private static let countLimit = 64

    mutating func find(_ header: Int) -> Storage? {
        guard let at = pages.firstIndex(where: { $0.header == header }) else { return nil }
        let found = pages.remove(at: at)
        pages.append(found)
        return found.page
    }

    mutating func keep(_ page: Storage, at header: Int) {
        pages.removeAll { $0.header == header }
        pages.append((header, page))
        var total = pages.reduce(0) { $0 + $1.page.byteCount }
        while pages.count > 1, total > Self.byteLimit || pages.count > Self.countLimit {
            total -= pages.removeFirst().page.byteCount
        }
    }
}

// Writes Parquet: flat columns and columns of one struct, plain values, in row groups of bounded size.

import GraftTensors

/// Writes a table of columns row by row; the file appears under its name when it is complete.
package struct ParquetWriter: ~Copyable {
    /// What a column holds.
    package enum Kind: Sendable, Hashable {
        /// Truth values.
        case boolean
        /// 64-bit integers.
        case integer
        /// 64-bit floating point numbers.
        case number
        /// 32-bit floating point numbers.
        case float
        /// Text.
        case text
        /// Bytes.
        case bytes
    }

    /// A column; `image.bytes` is the field `bytes` of the struct `image`.
    package struct Column: Sendable, Hashable {
        /// Its name, with a point before the field of a struct.
        package var name: String
        /// Its values' type.
        package var kind: Kind
        /// Whether its values are lists, and lists of lists.
        package var listDepth: Int

        /// A column, whose values may be missing.
        package init(_ name: String, kind: Kind, listDepth: Int = 0) {
            self.name = name
            self.kind = kind
            self.listDepth = listDepth
        }
    }

    /// A value to write.
    package enum Value: Sendable {
        /// No value.
        case null
        /// A truth value.
        case boolean(Bool)
        /// An integer.
        case integer(Int64)
        /// A number.
        case number(Double)
        /// Text.
        case text(String)
        /// Bytes.
        case bytes([UInt8])
        /// A list.
        case list([Value])
    }

    /// What has been collected of a column.
    private struct Pending {
        var repetitions: [UInt8] = []
        var definitions: [UInt8] = []
        var values: [UInt8] = []
        var bits: [Bool] = []
    }

    private struct Written {
        var rowCount: Int
        var chunks: [(offset: Int, size: Int, storedSize: Int, valueCount: Int)]
    }

    private let columns: [Column]
    private let codec: ParquetCodec
    private var metadata: [(key: String, value: String)]
    private var file: AtomicFile
    private var offset: Int
    private var pending: [Pending]
    private var pendingRows = 0
    private var groups: [Written] = []

    /// A row group is written when it has this many bytes or rows: what is held in memory.
    private static let groupByteLimit = 32 << 20
    private static let groupRowLimit = 100_000

    /// Starts a file that will replace `path`.
    ///
    /// - Parameter codec: none, snappy or zstd.
    package init(
        path: String, columns: [Column], codec: ParquetCodec = .uncompressed,
        metadata: [(key: String, value: String)] = []
    ) throws {
        precondition([.uncompressed, .snappy, .zstd].contains(codec))
        let magic = Array("PAR1".utf8)
        let file = try AtomicFile(replacing: path)
        try file.write(magic)
        self.file = file
        self.columns = columns
        self.codec = codec
        self.metadata = metadata
        offset = magic.count
        pending = columns.map { _ in Pending() }
    }

    private mutating func put(_ bytes: [UInt8]) throws {
        try file.write(bytes)
        offset += bytes.count
    }

    /// Adds a row: one value per column, of the column's kind.
    package mutating func add(_ row: [Value]) throws {
        precondition(row.count == columns.count)
        for (index, value) in row.enumerated() { add(value, to: index) }
        pendingRows += 1
        let size = pending.reduce(0) { $0 + $1.values.count + $1.bits.count / 8 }
        if size >= Self.groupByteLimit || pendingRows >= Self.groupRowLimit { try flush() }
    }

    private func outer(_ column: Column) -> Int { column.name.contains(".") ? 1 : 0 }

    private func maximumDefinition(_ column: Column) -> Int {
        outer(column) + 1 + 2 * column.listDepth
    }

    private mutating func add(_ value: Value, to index: Int) {
        let column = columns[index]
        // The struct around a field is always there.
        add(value, to: index, level: outer(column), depth: 0, repetition: 0)
    }

    /// - Parameter level: The definition level of what surrounds the value.
    private mutating func add(
        _ value: Value, to index: Int, level: Int, depth: Int, repetition: Int
    ) {
        func note(_ definition: Int) {
            pending[index].repetitions.append(UInt8(repetition))
            pending[index].definitions.append(UInt8(definition))
        }
        switch value {
        case .null: note(level)
        case .list(let elements):
            precondition(depth < columns[index].listDepth)
            guard !elements.isEmpty else { return note(level + 1) }
            for (place, element) in elements.enumerated() {
                add(
                    element, to: index, level: level + 2, depth: depth + 1,
                    repetition: place == 0 ? repetition : depth + 1)
            }
        default:
            precondition(depth == columns[index].listDepth)
            note(level + 1)
            append(value, to: index)
        }
    }

    private mutating func append(_ value: Value, to index: Int) {
        func add(_ bits: some FixedWidthInteger) {
            withUnsafeBytes(of: bits.littleEndian) { pending[index].values += $0 }
        }
        func add(_ bytes: some Collection<UInt8>) {
            add(UInt32(bytes.count))
            pending[index].values += bytes
        }
        switch (columns[index].kind, value) {
        case (.boolean, .boolean(let bit)): pending[index].bits.append(bit)
        case (.integer, .integer(let number)): add(number)
        case (.number, .number(let number)): add(number.bitPattern)
        case (.float, .number(let number)): add(Float(number).bitPattern)
        case (.text, .text(let text)): add(Array(text.utf8))
        case (.bytes, .bytes(let bytes)): add(bytes)
        default: preconditionFailure("a value of another kind in `\(columns[index].name)`")
        }
    }

    /// Writes what has been collected as a row group.
    private mutating func flush() throws {
        guard pendingRows > 0 else { return }
        var group = Written(rowCount: pendingRows, chunks: [])
        for (index, column) in columns.enumerated() {
            let start = offset
            let page = pending[index]
            var body: [UInt8] = []
            if column.listDepth > 0 {
                body += Self.sized(page.repetitions, limit: column.listDepth)
            }
            body += Self.sized(page.definitions, limit: maximumDefinition(column))
            body += page.values
            body += Self.packed(page.bits)
            let stored = try codec.compress(body)
            var header = ThriftWriter()
            header.put { header in
                header.add(1, int32: 0)
                header.add(2, int32: body.count)
                header.add(3, int32: stored.count)
                header.add(5) { header in
                    header.add(1, int32: page.definitions.count)
                    header.add(2, int32: 0)
                    header.add(3, int32: 3)
                    header.add(4, int32: 3)
                }
            }
            try put(header.bytes)
            try put(stored)
            group.chunks.append(
                (
                    start, header.bytes.count + body.count, offset - start,
                    page.definitions.count
                ))
            pending[index] = Pending()
        }
        groups.append(group)
        pendingRows = 0
    }

    private static func packed(_ bits: [Bool]) -> [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<min(start + 8, bits.count)].enumerated().reduce(0) {
                $0 | ($1.element ? 1 << UInt8($1.offset) : 0)
            }
        }
    }

    /// Levels as runs of one number, behind their length.
    private static func sized(_ levels: [UInt8], limit: Int) -> [UInt8] {
        precondition(limit < 256)
        var runs: [UInt8] = []
        var start = 0
        while start < levels.count {
            var end = start + 1
            while end < levels.count, levels[end] == levels[start] { end += 1 }
            var head = UInt64(end - start) << 1
            while head >= 0x80 {
                runs.append(UInt8(head & 0x7F) | 0x80)
                head >>= 7
            }
            runs.append(UInt8(head))
            runs.append(levels[start])
            start = end
        }
        return withUnsafeBytes(of: UInt32(runs.count).littleEndian) { Array($0) } + runs
    }

    /// Writes the last row group and the footer, and puts the file in its place.
    package consuming func finish() throws {
        try flush()
        let footer = footer()
        try put(footer)
        try put(
            withUnsafeBytes(of: UInt32(footer.count).littleEndian) { Array($0) }
                + Array("PAR1".utf8))
        try file.commit()
    }

    /// The schema's elements under the root, in depth-first order.
    private func elements() -> [Element] {
        var elements: [Element] = []
        var open: String?
        for column in columns {
            let names = column.name.split(separator: ".").map(String.init)
            if names.count > 1 {
                if open != names[0] {
                    let fields = columns.count { $0.name.hasPrefix(names[0] + ".") }
                    elements.append(
                        Element(name: names[0], kind: nil, children: fields, repetition: 1))
                }
                open = names[0]
            } else {
                open = nil
            }
            var name = names.last ?? ""
            for _ in 0..<column.listDepth {
                elements.append(
                    Element(name: name, kind: nil, children: 1, repetition: 1, isList: true))
                elements.append(Element(name: "list", kind: nil, children: 1, repetition: 2))
                name = "element"
            }
            elements.append(Element(name: name, kind: column.kind, children: 0, repetition: 1))
        }
        return elements
    }

    fileprivate struct Element {
        var name: String
        var kind: Kind?
        var children: Int
        var repetition: Int
        var isList = false
    }

    private func path(_ column: Column) -> [String] {
        let names = column.name.split(separator: ".").map(String.init)
        return names + (0..<column.listDepth).flatMap { _ in ["list", "element"] }
    }

    private func footer() -> [UInt8] {
        var writer = ThriftWriter()
        let elements = elements()
        let roots = Set(columns.map { $0.name.split(separator: ".").first ?? "" }).count
        let rows = groups.reduce(0) { $0 + $1.rowCount }
        writer.put { writer in
            writer.add(1, int32: 2)
            writer.add(2, listOf: .structure, count: elements.count + 1) { writer, index in
                writer.put { writer in
                    guard index > 0 else {
                        writer.add(4, text: "schema")
                        writer.add(5, int32: roots)
                        return
                    }
                    elements[index - 1].write(&writer)
                }
            }
            writer.add(3, int64: rows)
            writer.add(4, listOf: .structure, count: groups.count) { writer, index in
                writer.put { writer in put(groups[index], into: &writer) }
            }
            if !metadata.isEmpty {
                writer.add(5, listOf: .structure, count: metadata.count) { writer, index in
                    writer.put { writer in
                        writer.add(1, text: metadata[index].key)
                        writer.add(2, text: metadata[index].value)
                    }
                }
            }
            writer.add(6, text: "graft")
        }
        return writer.bytes
    }

    private func put(_ group: Written, into writer: inout ThriftWriter) {
        writer.add(1, listOf: .structure, count: columns.count) { writer, index in
            let (column, chunk) = (columns[index], group.chunks[index])
            let names = path(column)
            writer.put { writer in
                writer.add(2, int64: chunk.offset)
                writer.add(3) { writer in
                    writer.add(1, int32: column.kind.type.rawValue)
                    writer.add(2, listOf: .int32, count: 2) { writer, place in
                        writer.put(int32: place == 0 ? 0 : 3)
                    }
                    writer.add(3, listOf: .binary, count: names.count) { writer, place in
                        writer.put(text: names[place])
                    }
                    writer.add(4, int32: codec.rawValue)
                    writer.add(5, int64: chunk.valueCount)
                    writer.add(6, int64: chunk.size)
                    writer.add(7, int64: chunk.storedSize)
                    writer.add(9, int64: chunk.offset)
                }
            }
        }
        writer.add(2, int64: group.chunks.reduce(0) { $0 + $1.size })
        writer.add(3, int64: group.rowCount)
    }
}

extension ParquetWriter.Element {
    fileprivate func write(_ writer: inout ThriftWriter) {
        if let kind { writer.add(1, int32: kind.type.rawValue) }
        writer.add(3, int32: repetition)
        writer.add(4, text: name)
        if children > 0 { writer.add(5, int32: children) }
        if isList { writer.add(6, int32: 3) }
        if kind == .text { writer.add(6, int32: 0) }
        if isList {
            writer.add(10) { writer in writer.add(3) { _ in } }
        } else if kind == .text {
            writer.add(10) { writer in writer.add(1) { _ in } }
        }
    }
}

extension ParquetWriter.Kind {
    fileprivate var type: ParquetType {
        switch self {
        case .boolean: .boolean
        case .integer: .int64
        case .number: .double
        case .float: .float
        case .text, .bytes: .byteArray
        }
    }
}

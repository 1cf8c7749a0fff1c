// Parquet for conformance: `dump IN` prints columns and rows as JSON, `copy IN OUT CODEC` writes them again.

import Foundation
import GraftFormats
import GraftTensors

enum ParquetJobs {
    static func run(_ arguments: [String]) throws {
        switch (arguments.first, arguments.count) {
        case ("dump", 2): try dump(ParquetFile(arguments[1]))
        case ("copy", 4):
            let codec = ParquetCodec.allCases.first { $0.name == arguments[3] } ?? .uncompressed
            try copy(ParquetFile(arguments[1]), to: arguments[2], codec: codec)
        default: throw Misuse(arguments: ["parquet"] + arguments)
        }
    }

    private static func dump(_ file: ParquetFile) throws {
        var columns: [String: [Any]] = [:]
        for (index, column) in file.columns.enumerated() {
            columns[column.name] = try file.values(column: index).map {
                try json($0, column, file)
            }
        }
        let answer: [String: Any] = [
            "rows": file.rowCount, "names": file.columns.map(\.name), "columns": columns,
            "metadata": Dictionary(
                file.metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first }),
        ]
        FileHandle.standardOutput.write(try JSONSerialization.data(withJSONObject: answer))
    }

    /// Bytes that are no text in hexadecimal; numbers that JSON lacks as words.
    private static func json(_ value: ParquetValue, _ column: ParquetColumn, _ file: ParquetFile)
        throws -> Any
    {
        switch value {
        case .null: return NSNull()
        case .boolean(let bit): return bit
        case .integer(let number): return number
        case .number(let number): return number.isFinite ? number : "\(number)"
        case .list(let values): return try values.map { try json($0, column, file) }
        case .bytes(let place):
            guard column.isText else {
                return try file.withBytes(place) { bytes in
                    bytes.map { String(format: "%02x", $0) }.joined()
                }
            }
            return try file.text(place)
        }
    }

    private static func copy(_ file: ParquetFile, to path: String, codec: ParquetCodec) throws {
        let columns = file.columns.map { column in
            let kind: ParquetWriter.Kind =
                switch column.type {
                case .boolean: .boolean
                case .int32, .int64: .integer
                case .float: .float
                case .double: .number
                default: column.isText ? .text : .bytes
                }
            return ParquetWriter.Column(column.name, kind: kind, listDepth: column.listDepth)
        }
        var writer = try ParquetWriter(
            path: path, columns: columns, codec: codec, metadata: file.metadata)
        let values = try file.columns.indices.map { try file.values(column: $0) }
        for row in 0..<file.rowCount {
            try writer.add(
                file.columns.indices.map { column in
                    try written(values[column][row], file, isText: file.columns[column].isText)
                })
        }
        try writer.finish()
    }

    private static func written(_ value: ParquetValue, _ file: ParquetFile, isText: Bool) throws
        -> ParquetWriter.Value
    {
        switch value {
        case .null: .null
        case .boolean(let bit): .boolean(bit)
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .list(let values): .list(try values.map { try written($0, file, isText: isText) })
        case .bytes(let place):
            isText
                ? .text(try file.text(place)) : .bytes(try file.withBytes(place) { Array($0) })
        }
    }
}

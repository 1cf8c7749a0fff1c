// Parquet: what is written is read back, and each way in which bytes can lie is named.

import Foundation
import GraftFormats
import Testing

@Suite struct ParquetTests {
    private static let rowCount = 25

    /// Writes a small table and gives its path.
    private func write(_ scratch: Scratch, codec: ParquetCodec = .uncompressed) throws -> String {
        let path = scratch.path("\(codec.name).parquet")
        var writer = try ParquetWriter(
            path: path,
            columns: [
                .init("image.bytes", kind: .bytes), .init("image.path", kind: .text),
                .init("label", kind: .integer), .init("boxes", kind: .float, listDepth: 2),
                .init("flag", kind: .boolean), .init("weight", kind: .number),
            ], codec: codec, metadata: [("huggingface", "{}"), ("other", "é")])
        for row in 0..<Self.rowCount {
            let boxes: ParquetWriter.Value =
                switch row % 4 {
                case 0: .null
                case 1: .list([])
                case 2: .list([.list([.number(1), .number(2.5)]), .null, .list([])])
                default: .list([.list([.number(Double(row))])])
                }
            try writer.add([
                .bytes([UInt8](repeating: UInt8(row), count: row)),
                row % 3 == 0 ? .null : .text("\(row).jpg"), .integer(Int64(row) - 3), boxes,
                row % 5 == 0 ? .null : .boolean(row % 2 == 0), .number(Double(row) / 8),
            ])
        }
        try writer.finish()
        return path
    }

    @Test(arguments: [ParquetCodec.uncompressed, .snappy, .zstd])
    func whatIsWrittenIsReadBack(_ codec: ParquetCodec) throws {
        let scratch = try Scratch()
        let file = try ParquetFile(write(scratch, codec: codec))
        #expect(
            file.columns.map(\.name) == [
                "image.bytes", "image.path", "label", "boxes", "flag", "weight",
            ])
        #expect(file.rowCount == Self.rowCount && file.groupRowCounts == [Self.rowCount])
        #expect(file.metadata("huggingface") == "{}" && file.metadata("other") == "é")
        #expect(file.column("LABEL") == 2 && file.column("none") == nil)
        let bytes = try file.values(column: 0)
        let names = try file.values(column: 1)
        let labels = try file.values(column: 2)
        let boxes = try file.values(column: 3)
        let flags = try file.values(column: 4)
        let weights = try file.values(column: 5)
        for row in 0..<Self.rowCount {
            guard case .bytes(let place) = bytes[row] else {
                Issue.record("row \(row) has no bytes")
                continue
            }
            let found = try file.withBytes(place) { Array($0) }
            #expect(found == [UInt8](repeating: UInt8(row), count: row))
            // What is stored as it is stays where it is.
            if codec == .uncompressed, case .file = place {
            } else {
                #expect(codec != .uncompressed)
            }
            if case .bytes(let place) = names[row] {
                #expect(try file.text(place) == "\(row).jpg" && row % 3 != 0)
            } else {
                #expect(names[row] == .null && row % 3 == 0)
            }
            #expect(labels[row] == .integer(Int64(row) - 3))
            #expect(flags[row] == (row % 5 == 0 ? .null : .boolean(row % 2 == 0)))
            #expect(weights[row] == .number(Double(row) / 8))
            let expected: ParquetValue =
                switch row % 4 {
                case 0: .null
                case 1: .list([])
                case 2: .list([.list([.number(1), .number(2.5)]), .null, .list([])])
                default: .list([.list([.number(Double(row))])])
                }
            #expect(boxes[row] == expected)
        }
    }

    @Test func manyRowsBecomeSeveralGroups() throws {
        let scratch = try Scratch()
        let path = scratch.path("many.parquet")
        var writer = try ParquetWriter(
            path: path, columns: [.init("n", kind: .integer)], codec: .zstd)
        for row in 0..<250_001 { try writer.add([.integer(Int64(row))]) }
        try writer.finish()
        let file = try ParquetFile(path)
        #expect(file.groupRowCounts == [100_000, 100_000, 50_001])
        #expect(try file.values(column: 0, group: 2).last == .integer(250_000))
        #expect(try file.values(column: 0).count == 250_001)
    }

    @Test func anUnfinishedFileIsNotThere() throws {
        let scratch = try Scratch()
        let path = scratch.path("half.parquet")
        do {
            var writer = try ParquetWriter(path: path, columns: [.init("n", kind: .integer)])
            try writer.add([.integer(1)])
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder).isEmpty)
    }

    /// A file whose footer is replaced.
    private func file(_ scratch: Scratch, footer: [UInt8], length: Int? = nil) throws -> String {
        let count = UInt32(length ?? footer.count)
        let bytes =
            Array("PAR1".utf8) + footer + withUnsafeBytes(of: count.littleEndian) { Array($0) }
            + Array("PAR1".utf8)
        return try scratch.file("x.parquet", bytes)
    }

    @Test func liesOfTheFooterAreNamed() throws {
        let scratch = try Scratch()
        func check(_ path: String, _ flaw: ParquetFlaw, _ line: Int) {
            #expect(throws: ParquetError(path: path, flaw: flaw), "line \(line)") {
                try ParquetFile(path)
            }
        }
        check(try scratch.file("a", Array("PAR1xxxxPAR2".utf8)), .noMagic, #line)
        check(try scratch.file("b", Array("PAR1".utf8)), .noMagic, #line)
        check(try scratch.file("c", []), .noMagic, #line)
        check(try scratch.file("d", Array("PAR1xxxx____PARE".utf8)), .encrypted, #line)
        check(
            try file(scratch, footer: [0], length: 9), .footerLength(9, fileLength: 13), #line)
        check(try file(scratch, footer: [0]), .missingField("num_rows"), #line)
        // num_rows, field 3: 2^40, zigzag; then the end, without a schema.
        let many: [UInt8] = [0x36, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0]
        check(try file(scratch, footer: many), .missingField("schema"), #line)
        check(try file(scratch, footer: [0x36, 1, 0]), .outOfRange("num_rows", found: -1), #line)
        // A list of 2^28 elements, and structures in structures.
        check(
            try file(scratch, footer: [0x29, 0xFC, 0x80, 0x80, 0x80, 0x80, 1]),
            .truncated(expected: 1 << 28, found: 0), #line)
        check(
            try file(scratch, footer: [UInt8](repeating: 0x9C, count: 64)), .thriftDepth(32), #line
        )
        check(try file(scratch, footer: [0x1D]), .thriftType(field: 0, found: 13), #line)
    }

    @Test func moreRowsThanAFileCanHoldAreRefused() throws {
        let scratch = try Scratch()
        var bytes = Array(try Data(contentsOf: URL(filePath: write(scratch))))
        // The last field of the footer but the writer's name is the row count of the one group:
        // field 3 of the file is i64 25, zigzag 50.
        let length = bytes.count
        let found = (0..<(length - 2)).filter { bytes[$0] == 0x16 && bytes[$0 + 1] == 50 }
        #expect(!found.isEmpty)
        for at in found { bytes[at + 1] = 52 }
        let path = try scratch.file("changed.parquet", bytes)
        #expect(throws: ParquetError.self) {
            let file = try ParquetFile(path)
            for column in file.columns.indices { _ = try file.values(column: column) }
        }
    }

    @Test func aFileThatIsCutOrDamagedIsReadOrRefused() throws {
        let scratch = try Scratch()
        let whole = Array(try Data(contentsOf: URL(filePath: write(scratch, codec: .snappy))))
        for count in stride(from: 0, to: whole.count, by: 7) {
            let path = try scratch.file("cut.parquet", Array(whole[..<count]))
            #expect(throws: ParquetError.self) { try ParquetFile(path) }
        }
        for at in whole.indices {
            var bytes = whole
            bytes[at] ^= 0xFF
            let path = try scratch.file("bad.parquet", bytes)
            do {
                let file = try ParquetFile(path)
                for column in file.columns.indices { _ = try file.values(column: column) }
            } catch is ParquetError {}
        }
    }
}

// LevelDB's table of sorted keys and values, which TensorFlow's checkpoints begin with.

import GraftTensors

/// Reads every entry of a table (https://github.com/google/leveldb/blob/main/doc/table_format.md).
enum SortedTable {
    typealias Entry = (key: [UInt8], value: [UInt8])

    private static let footerByteCount = 48
    private static let magic: [UInt8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]
    private static let entryLimit = 1_000_000
    private static let keyLimit = 1 << 16

    static func isTable(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count >= footerByteCount && bytes.suffix(magic.count).elementsEqual(magic)
    }

    static func entries(_ storage: Storage, _ source: Source) throws -> [Entry] {
        try storage.withBytes { bytes in
            guard isTable(bytes) else { throw source.malformed(.tensorFlow(.noFooter)) }
            var footer = try ByteCursor(bytes, at: bytes.count - footerByteCount, in: source)
            // Keys share beginnings, so that few bytes can claim to be many.
            var budget = bytes.count &* 32 + 1 << 20
            _ = try footer.blockHandle()
            let index = try block(bytes, try footer.blockHandle(), source, &budget)
            var entries: [Entry] = []
            for (_, value) in index {
                let handle = try value.withUnsafeBytes { value in
                    var cursor = try ByteCursor(value, in: source)
                    return try cursor.blockHandle()
                }
                entries += try block(bytes, handle, source, &budget)
            }
            return entries
        }
    }

    private static func block(
        _ bytes: UnsafeRawBufferPointer, _ handle: Range<Int>, _ source: Source, _ budget: inout Int
    ) throws -> [Entry] {
        var outer = try ByteCursor(bytes, at: handle.lowerBound, in: source)
        let contents = try outer.take(handle.count)
        // An index may name one block many times.
        budget -= contents.count
        guard budget > 0 else { throw source.malformed(.tensorFlow(.largeBlocks)) }
        let kinds = try outer.take(1)
        let kind = kinds[0]
        let expected = try outer.integer(UInt32.self)
        guard kind == 0 else {
            throw source.unsupported(.compressedBlock(at: handle.lowerBound))
        }
        var checksum = CRC32C()
        checksum.update(contents)
        checksum.update(kinds)
        guard checksum.masked == expected else {
            throw source.malformed(.tensorFlow(.blockChecksum(at: handle.lowerBound)))
        }
        guard contents.count >= 4 else { throw source.malformed(.tensorFlow(.openBlock)) }
        var tail = try ByteCursor(contents, at: contents.count - 4, in: source)
        let restarts = try tail.size(UInt32.self)
        guard restarts <= (contents.count - 4) / 4 else {
            throw source.malformed(.tensorFlow(.restartCount(restarts)))
        }
        let data = UnsafeRawBufferPointer(
            rebasing: contents[..<(contents.count - 4 - restarts * 4)])
        return try entries(data, source, &budget)
    }

    private static func entries(
        _ data: UnsafeRawBufferPointer, _ source: Source, _ budget: inout Int
    ) throws -> [Entry] {
        var cursor = try ByteCursor(data, in: source)
        var entries: [Entry] = []
        var key: [UInt8] = []
        while cursor.remaining > 0 {
            let shared = try cursor.varint()
            let suffix = try cursor.varint()
            let count = try cursor.varint()
            guard shared <= key.count, suffix <= keyLimit, shared + suffix <= keyLimit,
                entries.count < entryLimit
            else { throw source.malformed(.tensorFlow(.brokenKey)) }
            key = Array(key[..<shared]) + (try cursor.take(suffix))
            let value = Array(try cursor.take(count))
            budget -= key.count + value.count + 32
            guard budget > 0 else { throw source.malformed(.tensorFlow(.largeKeys)) }
            entries.append((key, value))
        }
        return entries
    }
}

extension ByteCursor {
    /// The next number of 7 bits a byte, the lowest first, as a size.
    mutating func varint() throws -> Int {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 70, by: 7) {
            let byte = try byte()
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            guard byte & 0x80 != 0 else {
                guard let size = Int(exactly: value) else { break }
                return size
            }
        }
        throw source.malformed(.bytes(.numberTooLarge(at: offset)))
    }

    fileprivate mutating func blockHandle() throws -> Range<Int> {
        let start = try varint()
        let count = try varint()
        let (end, overflow) = start.addingReportingOverflow(count)
        guard !overflow else { throw source.malformed(.tensorFlow(.blockOutside)) }
        return start..<end
    }
}

// Bits and bytes of a page: hybrid runs of levels and indices, and the delta encodings of integers.

/// A place in the bytes of a page; every read is checked.
struct PageReader {
    let bytes: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var remaining: Int { bytes.count - offset }

    /// The next `count` bytes, as a range.
    mutating func take(_ count: Int) throws(ParquetFlaw) -> Range<Int> {
        guard count >= 0, count <= remaining else {
            throw .truncated(expected: count, found: remaining)
        }
        defer { offset += count }
        return offset..<(offset + count)
    }

    /// The next little-endian number.
    mutating func load<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(ParquetFlaw) -> T {
        let range = try take(MemoryLayout<T>.size)
        return T(
            littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self))
    }

    /// The next variable-length number without a sign.
    mutating func varint() throws(ParquetFlaw) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let next = try load(UInt8.self)
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
        }
        throw .outOfRange("varint", found: offset)
    }

    /// The next variable-length number with a sign.
    mutating func zigzag() throws(ParquetFlaw) -> Int64 {
        let raw = try varint()
        return Int64(truncatingIfNeeded: raw >> 1) ^ -Int64(truncatingIfNeeded: raw & 1)
    }

    /// `count` numbers of `width` bits each, the lowest bit first; bytes that are missing at the end are
    /// an error only where a number needs them.
    mutating func packed(
        width: Int, count: Int, _ body: (UInt64) throws(ParquetFlaw) -> Void
    ) throws(ParquetFlaw) {
        guard width > 0 else {
            for _ in 0..<count { try body(0) }
            return
        }
        let (bits, overflow) = width.multipliedReportingOverflow(by: count)
        guard !overflow, width <= 64 else { throw .outOfRange("bit width", found: width) }
        let range = try take((bits + 7) / 8)
        var at = range.lowerBound
        var bit = 0
        for _ in 0..<count {
            var value: UInt64 = 0
            var filled = 0
            while filled < width {
                let part = min(8 - bit, width - filled)
                let mask = UInt64((1 << part) - 1)
                value |= (UInt64(bytes[at] >> UInt8(bit)) & mask) << UInt64(filled)
                filled += part
                bit += part
                if bit == 8 { (at, bit) = (at + 1, 0) }
            }
            try body(value)
        }
    }

    /// Runs of one number and groups of packed ones, by turns, until `count` numbers are read.
    mutating func hybrid(
        width: Int, count: Int, _ body: (Int) throws(ParquetFlaw) -> Void
    ) throws(ParquetFlaw) {
        guard width <= 32 else { throw .outOfRange("bit width", found: width) }
        var left = count
        while left > 0 {
            let head = try varint()
            if head & 1 == 0 {
                var value = 0
                for byte in 0..<((width + 7) / 8) {
                    value |= Int(try load(UInt8.self)) << (8 * byte)
                }
                let run = min(Int(clamping: head >> 1), left)
                guard run > 0 else { throw .outOfRange("run length", found: 0) }
                for _ in 0..<run { try body(value) }
                left -= run
            } else {
                let (all, overflow) = Int(clamping: head >> 1).multipliedReportingOverflow(by: 8)
                guard !overflow, all > 0 else { throw .outOfRange("run length", found: all) }
                // The last group may be filled up, and cut off behind the last number.
                let kept = min(all, left)
                let start = offset
                try packed(width: width, count: kept) { (value) throws(ParquetFlaw) in
                    try body(Int(value))
                }
                let (bits, tooMany) = width.multipliedReportingOverflow(by: all)
                guard !tooMany else { throw .outOfRange("run length", found: all) }
                offset = min(start + bits / 8, bytes.count)
                left -= kept
            }
        }
    }

    /// Integers as differences in blocks of packed bits; the count that it states must be at most
    /// `limit`.
    mutating func deltas(
        limit: Int, _ body: (Int64) throws(ParquetFlaw) -> Void
    ) throws(ParquetFlaw) {
        let blockSize = Int(clamping: try varint())
        let miniCount = Int(clamping: try varint())
        let total = Int(clamping: try varint())
        var value = try zigzag()
        guard total <= limit else { throw .valueCount(expected: limit, found: total) }
        guard
            (1...(1 << 20)).contains(blockSize), (1...512).contains(miniCount),
            blockSize % miniCount == 0
        else { throw .outOfRange("delta block size", found: blockSize) }
        guard total > 0 else { return }
        try body(value)
        var left = total - 1
        let perMini = blockSize / miniCount
        while left > 0 {
            let least = try zigzag()
            let widths = try take(miniCount)
            for mini in widths where left > 0 {
                let width = Int(bytes[mini])
                guard width <= 64 else { throw .outOfRange("bit width", found: width) }
                let kept = min(perMini, left)
                let start = offset
                try packed(width: width, count: kept) { (delta) throws(ParquetFlaw) in
                    value = value &+ least &+ Int64(bitPattern: delta)
                    try body(value)
                }
                // The last one is filled up by some writers.
                offset = min(start + (width * perMini + 7) / 8, bytes.count)
                left -= kept
            }
        }
    }
}

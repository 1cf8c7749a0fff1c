// The pages of a column chunk, one after another: levels, and values by the page's encoding.

/// What a page of a column holds: a level of each kind per entry, and the values that are there.
struct ColumnPage {
    var repetitions: [UInt8] = []
    var definitions: [UInt8] = []
    var values: [ParquetValue] = []
    var entryCount = 0
}

/// Reads the pages of one column in one row group.
struct PageWalker {
    let file: UnsafeRawBufferPointer
    let column: ParquetColumn
    let chunk: ColumnChunk
    private var at: Int
    private let end: Int
    private var dictionary: [ParquetValue]?
    private var left: Int

    init(of column: ParquetColumn, chunk: ColumnChunk, in file: UnsafeRawBufferPointer)
        throws(ParquetFlaw)
    {
        guard chunk.start <= file.count, chunk.byteCount <= file.count - chunk.start else {
            throw .truncated(expected: chunk.byteCount, found: max(file.count - chunk.start, 0))
        }
        (self.file, self.column, self.chunk) = (file, column, chunk)
        at = chunk.start
        end = chunk.start + chunk.byteCount
        left = chunk.valueCount
    }

    /// The next page of data; nil after all values that the chunk states.
    mutating func next() throws(ParquetFlaw) -> ColumnPage? {
        while left > 0 {
            guard at < end else {
                throw .valueCount(expected: chunk.valueCount, found: chunk.valueCount - left)
            }
            let header = try PageHeader(file, at: at)
            let place = at
            at += header.headerByteCount + header.storedSize
            guard at <= end else { throw .truncated(expected: at - end, found: 0) }
            switch header.kind {
            case .index: continue
            case .dictionary: try readDictionary(header, at: place)
            case .data, .dataV2:
                guard header.valueCount <= left else {
                    throw .valueCount(expected: left, found: header.valueCount)
                }
                left -= header.valueCount
                return try read(header, at: place)
            }
        }
        return nil
    }

    private mutating func readDictionary(_ header: PageHeader, at place: Int) throws(ParquetFlaw) {
        guard header.encoding == 0 || header.encoding == 2 else {
            throw .encoding(header.encoding, type: "dictionary")
        }
        let decoder = ValueDecoder(column: column)
        let codec = chunk.codec
        dictionary = try PageBytes.withValues(of: header, at: place, in: file, codec: codec) {
            (bytes, where_) throws(ParquetFlaw) in
            var reader = PageReader(bytes)
            return try decoder.values(
                &reader, encoding: 0, count: header.valueCount, place: where_)
        }
    }

    private func read(_ header: PageHeader, at place: Int) throws(ParquetFlaw) -> ColumnPage {
        var page = ColumnPage()
        page.entryCount = header.valueCount
        if header.kind == .dataV2 {
            // Its levels are stored before the values, without a length of their own.
            let start = place + header.headerByteCount
            let split = start + header.repetitionByteCount
            let places = [start..<split, split..<(split + header.definitionByteCount)]
            var readers = places.map { PageReader(UnsafeRawBufferPointer(rebasing: file[$0])) }
            page.repetitions = try levels(
                &readers[0], limit: column.listDepth, count: header.valueCount)
            page.definitions = try levels(
                &readers[1], limit: column.maximumDefinition, count: header.valueCount)
        }
        let isFirst = header.kind == .data
        let start = page
        return try PageBytes.withValues(of: header, at: place, in: file, codec: chunk.codec) {
            (bytes, place) throws(ParquetFlaw) in
            var page = start
            var reader = PageReader(bytes)
            if isFirst {
                page.repetitions = try sizedLevels(
                    &reader, limit: column.listDepth, count: header.valueCount)
                page.definitions = try sizedLevels(
                    &reader, limit: column.maximumDefinition, count: header.valueCount)
            }
            let limit = column.maximumDefinition
            let count =
                limit == 0 ? header.valueCount : page.definitions.count { Int($0) == limit }
            page.values = try values(
                from: &reader, encoding: header.encoding, count: count, at: place)
            return page
        }
    }

    private func values(
        from reader: inout PageReader, encoding: Int, count: Int, at place: PagePlace
    ) throws(ParquetFlaw) -> [ParquetValue] {
        guard encoding == 2 || encoding == 8 else {
            return try ValueDecoder(column: column).values(
                &reader, encoding: encoding, count: count, place: place)
        }
        guard count > 0 else { return [] }
        guard let dictionary else { throw .dictionary(index: 0, count: 0) }
        let width = Int(try reader.load(UInt8.self))
        var values: [ParquetValue] = []
        try reader.hybrid(width: width, count: count) { (index) throws(ParquetFlaw) in
            guard index < dictionary.count else {
                throw .dictionary(index: index, count: dictionary.count)
            }
            values.append(dictionary[index])
        }
        return values
    }

    /// Levels behind their length of four bytes; none where there is one level only.
    private func sizedLevels(
        _ reader: inout PageReader, limit: Int, count: Int
    ) throws(ParquetFlaw) -> [UInt8] {
        guard limit > 0 else { return [] }
        let length = Int(try reader.load(UInt32.self))
        let range = try reader.take(length)
        var part = PageReader(UnsafeRawBufferPointer(rebasing: reader.bytes[range]))
        return try levels(&part, limit: limit, count: count)
    }

    private func levels(_ reader: inout PageReader, limit: Int, count: Int) throws(ParquetFlaw)
        -> [UInt8]
    {
        guard limit > 0 else { return [] }
        var levels: [UInt8] = []
        let width = Int.bitWidth - limit.leadingZeroBitCount
        try reader.hybrid(width: width, count: count) { (level) throws(ParquetFlaw) in
            guard level <= limit else { throw .level(level, limit: limit) }
            levels.append(UInt8(level))
        }
        return levels
    }
}

/// The bytes of a page, decompressed where they have to be.
enum PageBytes {
    /// Lends what is compressed in a page, or stored as it is: of version 1 the levels and values, of
    /// version 2 the values.
    static func withValues<R>(
        of header: PageHeader, at place: Int, in file: UnsafeRawBufferPointer,
        codec: ParquetCodec, _ body: (UnsafeRawBufferPointer, PagePlace) throws(ParquetFlaw) -> R
    ) throws(ParquetFlaw) -> R {
        let start = place + header.headerByteCount
        let whole = UnsafeRawBufferPointer(
            rebasing: file[start..<(start + header.storedSize)])
        if let checksum = header.checksum, checksum != ParquetCodec.checksum(whole) {
            throw .checksum(page: place)
        }
        let levels =
            header.kind == .dataV2 ? header.repetitionByteCount + header.definitionByteCount : 0
        let stored = UnsafeRawBufferPointer(rebasing: whole[levels...])
        let isStored =
            codec == .uncompressed || (header.kind == .dataV2 && !header.isCompressed)
        if isStored {
            return try body(
                stored, PagePlace(header: place, codec: codec, start: start + levels))
        }
        let size = header.size - levels
        // Not written to before the codec does, so that a page costs what it holds.
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: max(size, 1), alignment: 64)
        defer { target.deallocate() }
        let room = UnsafeMutableRawBufferPointer(rebasing: target[..<size])
        // An empty page of version 2 may have no bytes at all.
        if size > 0 || !stored.isEmpty { try codec.decompress(stored, into: room) }
        return try body(
            UnsafeRawBufferPointer(room), PagePlace(header: place, codec: codec, start: nil))
    }
}

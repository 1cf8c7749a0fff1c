// The first directory of a TIFF or of an EXIF block: tags and short values, read with every offset checked.

/// The bytes of a TIFF, of which the tags of the first directory are read.
struct TIFFBytes {
    /// An entry of a directory.
    struct Entry {
        let tag: Int
        /// The type by its number in TIFF: 3 for 16-bit numbers, 4 for 32-bit ones.
        let type: Int
        let count: Int
        /// The value of an entry of one 16-bit or 32-bit number; of others the offset of the values.
        let value: Int
    }

    let bytes: UnsafeRawBufferPointer
    let isBigEndian: Bool

    /// The bytes, if they start as a TIFF does.
    init?(bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 8 else { return nil }
        switch (bytes[0], bytes[1]) {
        case (0x49, 0x49): isBigEndian = false
        case (0x4D, 0x4D): isBigEndian = true
        default: return nil
        }
        self.bytes = bytes
    }

    /// The entries of the first directory that lie within the bytes; nil if it starts outside of
    /// them, or the file is a BigTIFF.
    var firstDirectory: [Entry]? {
        guard u16(2) == 42, let start = u32(4), let count = u16(start) else { return nil }
        var entries: [Entry] = []
        for index in 0..<count {
            let at = start + 2 + index * 12
            guard let tag = u16(at), let type = u16(at + 2), let count = u32(at + 4),
                let value = type == 3 && count == 1 ? u16(at + 8) : u32(at + 8)
            else { break }
            entries.append(Entry(tag: tag, type: type, count: count, value: value))
        }
        return entries
    }

    func u16(_ at: Int) -> Int? {
        guard at >= 0, at <= bytes.count - 2 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)
        return Int(isBigEndian ? value.byteSwapped : value)
    }

    func u32(_ at: Int) -> Int? {
        guard at >= 0, at <= bytes.count - 4 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        return Int(isBigEndian ? value.byteSwapped : value)
    }
}

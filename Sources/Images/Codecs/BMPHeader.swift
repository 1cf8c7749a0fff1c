// The headers of a bitmap: its size, depth, palette and bit masks, and how a row is unpacked by them.

/// The headers of a BMP file, checked.
struct BMPHeader {
    /// How the pixels are stored.
    enum Compression { case none, rle8, rle4, masks }

    let width: Int
    let height: Int
    /// Whether the first stored row is the top one.
    let isTopDown: Bool
    /// Bits per pixel: 1, 2, 4, 8, 16, 24 or 32.
    let bits: Int
    let compression: Compression
    /// The offset of the pixels.
    let pixels: Int
    private let palette: [Color]
    private let masks: [Mask]

    /// Where a colour is in a pixel of 16, 24 or 32 bits.
    private struct Mask {
        let shift: UInt32
        let largest: UInt32

        init(_ bits: UInt32) {
            shift = bits == 0 ? 0 : UInt32(bits.trailingZeroBitCount)
            largest = bits == 0 ? 0 : bits >> shift
        }

        func value(_ pixel: UInt32) -> UInt8 {
            guard largest > 0 else { return 0 }
            let value = UInt64(pixel >> shift & largest)
            return UInt8(value * 255 / UInt64(largest))
        }
    }

    init(_ bytes: UnsafeRawBufferPointer, name: String) throws(ImageError) {
        func malformed(_ reason: String) -> ImageError {
            .malformed(name: name, format: "BMP", reason: reason)
        }
        func unsupported(_ feature: String) -> ImageError {
            .unsupported(name: name, format: "BMP", feature: feature)
        }
        func u16(_ at: Int) -> Int {
            Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self).littleEndian)
        }
        func u32(_ at: Int) -> UInt32 {
            bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).littleEndian
        }
        guard bytes.count >= 26 else { throw .truncated(name: name, format: "BMP") }
        let size = Int(u32(14))
        guard [12, 16, 40, 52, 56, 64, 108, 124].contains(size) else {
            throw unsupported("a header of \(size) bytes")
        }
        guard bytes.count >= 14 + size else { throw .truncated(name: name, format: "BMP") }
        let isOld = size == 12
        width = isOld ? u16(18) : Int(Int32(bitPattern: u32(18)))
        let rows = isOld ? u16(20) : Int(Int32(bitPattern: u32(22)))
        height = abs(rows)
        isTopDown = rows < 0
        bits = u16(isOld ? 24 : 28)
        guard width > 0, height > 0 else {
            throw malformed("its size is \(width) × \(rows)")
        }
        guard [1, 2, 4, 8, 16, 24, 32].contains(bits) else {
            throw unsupported("\(bits) bits per pixel")
        }
        let code = size >= 40 ? Int(u32(30)) : 0
        switch (code, bits) {
        case (0, _): compression = .none
        case (1, 8): compression = .rle8
        case (2, 4): compression = .rle4
        case (3, 16), (3, 32), (3, 24), (6, 16), (6, 32): compression = .masks
        case (4, _): throw unsupported("a JPEG inside")
        case (5, _): throw unsupported("a PNG inside")
        default: throw unsupported("compression \(code) of \(bits) bits per pixel")
        }
        // OS/2 2.x numbers another code 3 and 4, with the header of 64 bytes.
        if size == 64, code > 2 { throw unsupported("an OS/2 compression") }
        var at = 14 + size
        var found: [UInt32] = bits == 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF]
        if compression == .masks {
            // They follow a header of 40 bytes, and are a part of the longer ones.
            let start = 14 + 40
            guard bytes.count >= start + 12 else { throw .truncated(name: name, format: "BMP") }
            let given = [u32(start), u32(start + 4), u32(start + 8)]
            if given != [0, 0, 0] { found = given }
            if size == 40 { at += code == 6 ? 16 : 12 }
        }
        masks = found.map(Mask.init)
        var colors: [Color] = []
        if bits <= 8 {
            let entry = isOld ? 3 : 4
            let told = size >= 40 ? Int(u32(46)) : 0
            var count = told == 0 ? 1 << bits : min(told, 256)
            // Writers that give a palette of fewer colours than they say start the pixels earlier.
            let pixels = Int(u32(10))
            if pixels > at { count = min(count, (pixels - at) / entry) }
            guard bytes.count >= at + count * entry else {
                throw .truncated(name: name, format: "BMP")
            }
            for index in 0..<count {
                let base = at + index * entry
                colors.append(Color(bytes[base + 2], bytes[base + 1], bytes[base]))
            }
            at += count * entry
        }
        palette = colors
        let told = Int(u32(10))
        pixels = told == 0 ? at : told
    }

    /// The colour of an index; beyond the palette, grey, as Pillow has it.
    func color(_ index: Int) -> Color {
        if index < palette.count { return palette[index] }
        let grey = UInt8(truncatingIfNeeded: index)
        return Color(grey, grey, grey)
    }

    /// Unpacks a row, which must have the bytes of `width` pixels.
    func unpack(_ row: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<UInt8>) {
        func put(_ x: Int, _ color: Color) {
            target[x * 3] = color.red
            target[x * 3 + 1] = color.green
            target[x * 3 + 2] = color.blue
        }
        switch bits {
        case 1, 2, 4, 8:
            let perByte = 8 / bits
            for x in 0..<width {
                let shift = 8 - bits * (x % perByte + 1)
                put(x, color(Int(row[x / perByte]) >> shift & (1 << bits - 1)))
            }
        case 16:
            for x in 0..<width {
                let pixel = row.loadUnaligned(fromByteOffset: x * 2, as: UInt16.self).littleEndian
                put(x, color(masked: UInt32(pixel)))
            }
        case 24:
            for x in 0..<width {
                put(x, Color(row[x * 3 + 2], row[x * 3 + 1], row[x * 3]))
            }
        default:
            for x in 0..<width {
                let pixel = row.loadUnaligned(fromByteOffset: x * 4, as: UInt32.self).littleEndian
                put(x, color(masked: pixel))
            }
        }
    }

    private func color(masked pixel: UInt32) -> Color {
        Color(masks[0].value(pixel), masks[1].value(pixel), masks[2].value(pixel))
    }
}

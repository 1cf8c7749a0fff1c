// Windows and OS/2 bitmaps: all headers, depths, bit masks and both run-length codes.

enum BMPDecoder {
    static func decode(_ bytes: UnsafeRawBufferPointer, name: String, limits: ImageLimits)
        throws(ImageError) -> Image
    {
        let header = try BMPHeader(bytes, name: name)
        try limits.check(header.width, header.height, name: name, format: .bmp)
        let image =
            switch header.compression {
            case .none, .masks: try plain(bytes, header, name: name)
            case .rle4, .rle8: try runs(bytes, header, name: name)
            }
        return header.isTopDown ? image : image.oriented(4)
    }

    /// Rows of packed pixels, each padded to four bytes; the first row is the lowest, as stored.
    private static func plain(
        _ bytes: UnsafeRawBufferPointer, _ header: BMPHeader, name: String
    ) throws(ImageError) -> Image {
        let (width, height, bits) = (header.width, header.height, header.bits)
        let stride = (width * bits + 31) / 32 * 4
        // The padding of the last row may be missing.
        let needed = stride * (height - 1) + (width * bits + 7) / 8
        guard header.pixels <= bytes.count, needed <= bytes.count - header.pixels else {
            throw .truncated(name: name, format: "BMP")
        }
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        pixels.withUnsafeMutableBufferPointer { pixels in
            for y in 0..<height {
                let row = UnsafeRawBufferPointer(
                    rebasing: bytes[(header.pixels + y * stride)...])
                let target = UnsafeMutableBufferPointer(
                    rebasing: pixels[(y * width * 3)..<((y + 1) * width * 3)])
                header.unpack(row, into: target)
            }
        }
        return Image(sized: width, height, pixels)
    }

    /// Runs of indices into the palette; pixels that no run reaches have index 0.
    private static func runs(
        _ bytes: UnsafeRawBufferPointer, _ header: BMPHeader, name: String
    ) throws(ImageError) -> Image {
        let (width, height) = (header.width, header.height)
        let isNarrow = header.compression == .rle4
        var indices = [UInt8](repeating: 0, count: width * height)
        var (x, y, at) = (0, 0, header.pixels)
        func byte(_ offset: Int) throws(ImageError) -> Int {
            guard offset < bytes.count else { throw .truncated(name: name, format: "BMP") }
            return Int(bytes[offset])
        }
        func put(_ index: Int) {
            if x < width, y < height { indices[y * width + x] = UInt8(index) }
            x += 1
        }
        while y < height {
            let (count, value) = (try byte(at), try byte(at + 1))
            at += 2
            if count > 0 {
                for place in 0..<count {
                    put(isNarrow ? (place % 2 == 0 ? value >> 4 : value & 15) : value)
                }
                continue
            }
            switch value {
            case 0: (x, y) = (0, y + 1)
            case 1: y = height
            case 2:
                x += try byte(at)
                y += try byte(at + 1)
                at += 2
            default:
                for place in 0..<value {
                    let pair = try byte(at + (isNarrow ? place / 2 : place))
                    put(isNarrow ? (place % 2 == 0 ? pair >> 4 : pair & 15) : pair)
                }
                let length = isNarrow ? (value + 1) / 2 : value
                at += length + length % 2
            }
        }
        var pixels = [UInt8]()
        pixels.reserveCapacity(width * height * 3)
        for index in indices {
            let color = header.color(Int(index))
            pixels.append(color.red)
            pixels.append(color.green)
            pixels.append(color.blue)
        }
        return Image(sized: width, height, pixels)
    }
}

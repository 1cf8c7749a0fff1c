// PNG through libpng's png_image_*, the interface that never longjmps to its caller.

import CPNG

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum PNGCodec {
    /// Decodes; a large image that is needed at a fraction of its size, by rows into that.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, limits: ImageLimits, covering: Int? = nil
    ) throws(ImageError) -> Image {
        if let header = header(bytes), !header.isInterlaced {
            let factor = RowReducer.factor(
                width: header.width, height: header.height, covering: covering, limits: limits)
            if factor > 1 {
                try limits.check(
                    header.width, header.height, name: name, format: .png, factor: factor)
                return try PNGRows.decode(
                    bytes, width: header.width, height: header.height, factor: factor, name: name)
            }
        }
        let file = try essence(of: bytes, name: name)
        try limits.check(file.width, file.height, name: name, format: .png)
        // Without alpha, 16-bit samples can be had as they are; with it libpng would multiply
        // them by it, so it reduces them to 8 bits itself.
        let wide = file.depth == 16 && !file.hasAlpha
        let count = file.width * file.height * (file.hasAlpha ? 4 : 3)
        if wide {
            let samples: [UInt16] = try read(file, name, flags: PNG_FORMAT_FLAG_LINEAR)
            return Image(sized: file.width, file.height, samples.map { UInt8($0 >> 8) })
        }
        let samples: [UInt8] = try read(
            file, name, flags: file.hasAlpha ? PNG_FORMAT_FLAG_ALPHA : 0)
        guard file.hasAlpha else {
            return Image(sized: file.width, file.height, samples)
        }
        var pixels = [UInt8]()
        pixels.reserveCapacity(count / 4 * 3)
        for base in stride(from: 0, to: count, by: 4) {
            pixels.append(samples[base])
            pixels.append(samples[base + 1])
            pixels.append(samples[base + 2])
        }
        return Image(sized: file.width, file.height, pixels)
    }

    /// Writes a PNG to memory.
    static func encode(_ image: Image) throws(ImageError) -> [UInt8] {
        var control = png_image()
        control.version = png_uint_32(PNG_IMAGE_VERSION)
        control.width = png_uint_32(image.width)
        control.height = png_uint_32(image.height)
        control.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
        defer { png_image_free(&control) }
        // An upper bound, so that one pass does.
        var size = image.pixels.count + image.height + image.pixels.count / 8 + 4_096
        var written: Int32 = 0
        let file = [UInt8](unsafeUninitializedCapacity: size) { target, initialized in
            image.pixels.withUnsafeBytes { pixels in
                written = png_image_write_to_memory(
                    &control, target.baseAddress, &size, 0, pixels.baseAddress,
                    png_int_32(image.width * 3), nil)
            }
            initialized = written == 0 ? 0 : size
        }
        guard written != 0 else {
            throw .notWritten(format: "PNG", reason: message(control))
        }
        return file
    }

    /// The size and the order of rows that the header gives, if it is where it belongs.
    private static func header(_ bytes: UnsafeRawBufferPointer)
        -> (width: Int, height: Int, isInterlaced: Bool)?
    {
        guard bytes.count >= 33, bytes[12..<16].elementsEqual("IHDR".utf8) else { return nil }
        func number(_ at: Int) -> Int {
            Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).bigEndian)
        }
        return (number(16), number(20), bytes[28] != 0)
    }

    private struct Essence {
        var width = 0
        var height = 0
        var depth = 0
        var hasAlpha = false
        var bytes: [UInt8] = []
    }

    /// The chunks that hold the samples, without those that would have libpng change them.
    ///
    /// Gamma, profiles and transparent colours are ignored by Pillow, and so by every network
    /// trained with it; libpng's simple interface would apply them.
    private static func essence(of bytes: UnsafeRawBufferPointer, name: String)
        throws(ImageError) -> Essence
    {
        func number(_ at: Int) -> Int {
            Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).bigEndian)
        }
        var essence = Essence()
        essence.bytes.reserveCapacity(bytes.count)
        essence.bytes += bytes[0..<8]
        var at = 8
        while at <= bytes.count - 8 {
            let length = number(at)
            let kind = number(at + 4)
            let end = min(at + 12 + length, bytes.count)
            switch kind {
            case 0x4948_4452:  // IHDR
                guard length == 13, at + 25 <= bytes.count else {
                    throw .truncated(name: name, format: "PNG")
                }
                guard essence.depth == 0 else {
                    throw .malformed(name: name, format: "PNG", reason: "it has two headers")
                }
                essence.width = number(at + 8)
                essence.height = number(at + 12)
                essence.depth = Int(bytes[at + 16])
                guard essence.depth > 0 else {
                    throw .malformed(name: name, format: "PNG", reason: "its bit depth is 0")
                }
                essence.hasAlpha = bytes[at + 17] & 4 != 0
                essence.bytes += bytes[at..<end]
            case 0x504C_5445, 0x4944_4154, 0x4945_4E44:  // PLTE, IDAT, IEND
                essence.bytes += bytes[at..<end]
            default: break
            }
            at = end
        }
        guard essence.depth > 0 else { throw .truncated(name: name, format: "PNG") }
        return essence
    }

    private static func read<Sample: FixedWidthInteger>(
        _ file: Essence, _ name: String, flags: UInt32
    ) throws(ImageError) -> [Sample] {
        let row = file.width * (file.hasAlpha ? 4 : 3)
        let count = file.height * row
        var control = png_image()
        control.version = png_uint_32(PNG_IMAGE_VERSION)
        defer { png_image_free(&control) }
        var done: Int32 = 0
        let samples = file.bytes.withUnsafeBytes { bytes in
            [Sample](unsafeUninitializedCapacity: count) { target, initialized in
                target.initialize(repeating: 0)
                initialized = count
                done = png_image_begin_read_from_memory(&control, bytes.baseAddress, bytes.count)
                guard done != 0 else { return }
                // The buffer was made for this size and no other.
                precondition(control.width == file.width && control.height == file.height)
                control.format = PNG_FORMAT_FLAG_COLOR | flags
                if flags & PNG_FORMAT_FLAG_LINEAR == 0 {
                    control.flags |= png_uint_32(PNG_IMAGE_FLAG_16BIT_sRGB)
                }
                done = png_image_finish_read(
                    &control, nil, target.baseAddress, png_int_32(row), nil)
            }
        }
        guard done != 0 else {
            let reason = message(control)
            if reason.contains("read beyond end") || reason.contains("ot enough") {
                throw .truncated(name: name, format: "PNG")
            }
            throw .malformed(name: name, format: "PNG", reason: reason)
        }
        return samples
    }

    private static func message(_ control: png_image) -> String {
        withUnsafeBytes(of: control.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

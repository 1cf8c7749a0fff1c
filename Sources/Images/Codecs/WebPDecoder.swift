// WebP through libwebp.

import CWebP

enum WebPDecoder {
    static func decode(_ bytes: UnsafeRawBufferPointer, name: String, limits: ImageLimits)
        throws(ImageError) -> Image
    {
        let data = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var features = WebPBitstreamFeatures()
        let status = WebPGetFeatures(data, bytes.count, &features)
        if status == VP8_STATUS_NOT_ENOUGH_DATA {
            throw .truncated(name: name, format: "WebP")
        }
        guard status == VP8_STATUS_OK else {
            throw .malformed(
                name: name, format: "WebP", reason: "its header has status \(status.rawValue)")
        }
        if features.has_animation != 0 {
            return try firstFrame(bytes, features, name: name, limits: limits)
        }
        let width = Int(features.width)
        let height = Int(features.height)
        try limits.check(width, height, name: name, format: .webp)
        var decoded = false
        let count = width * height * 3
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            target.initialize(repeating: 0)
            let end = WebPDecodeRGBInto(
                data, bytes.count, target.baseAddress, count, Int32(width * 3))
            decoded = end != nil
            initialized = count
        }
        guard decoded else {
            throw .malformed(
                name: name, format: "WebP", reason: "its pixels are cut off or damaged")
        }
        return Image(sized: width, height, pixels)
    }

    /// The first frame of an animation on its canvas, which is black where the frame is not.
    private static func firstFrame(
        _ bytes: UnsafeRawBufferPointer, _ features: WebPBitstreamFeatures, name: String,
        limits: ImageLimits
    ) throws(ImageError) -> Image {
        let (width, height) = (Int(features.width), Int(features.height))
        try limits.check(width, height, name: name, format: .webp)
        func u24(_ at: Int) -> Int {
            Int(bytes[at]) | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]) << 16
        }
        var at = 12
        while at + 8 <= bytes.count {
            let kind = bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self).littleEndian
            let length = Int(
                bytes.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self).littleEndian)
            let body = at + 8
            // "ANMF" read as a little-endian number.
            guard kind == 0x464D_4E41 else {
                at = body + length + length % 2
                continue
            }
            guard length >= 24, body + length <= bytes.count else {
                throw .truncated(name: name, format: "WebP")
            }
            let (left, top) = (u24(body) * 2, u24(body + 3) * 2)
            let chunks = UnsafeRawBufferPointer(rebasing: bytes[(body + 16)..<(body + length)])
            let frame = try decode(
                file(of: chunks, width: u24(body + 6), height: u24(body + 9)), name: name,
                limits: limits)
            guard left + frame.width <= width, top + frame.height <= height else {
                throw .malformed(
                    name: name, format: "WebP", reason: "its first frame is not on its canvas")
            }
            if frame.width == width, frame.height == height { return frame }
            var pixels = [UInt8](repeating: 0, count: width * height * 3)
            for y in 0..<frame.height {
                let start = ((top + y) * width + left) * 3
                let row = frame.pixels[(y * frame.width * 3)..<((y + 1) * frame.width * 3)]
                pixels.replaceSubrange(start..<(start + frame.width * 3), with: row)
            }
            return Image(sized: width, height, pixels)
        }
        throw .truncated(name: name, format: "WebP")
    }

    /// A file of one image from the chunks of a frame.
    private static func file(
        of chunks: UnsafeRawBufferPointer, width: Int, height: Int
    ) -> [UInt8] {
        func little(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        // The flag of alpha: libwebp looks for an ALPH chunk behind it.
        let extended =
            Array("VP8X".utf8) + little(10, 4) + [0x10, 0, 0, 0]
            + little(width, 3) + little(height, 3)
        return Array("RIFF".utf8) + little(4 + extended.count + chunks.count, 4)
            + Array("WEBP".utf8) + extended + Array(chunks)
    }

    private static func decode(_ file: [UInt8], name: String, limits: ImageLimits)
        throws(ImageError) -> Image
    {
        let result = file.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in
                try decode(bytes, name: name, limits: limits)
            }
        }
        return try result.get()
    }
}

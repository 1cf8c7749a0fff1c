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
        guard features.has_animation == 0 else {
            throw .unsupported(name: name, format: "WebP", feature: "more than one frame")
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
        return Image(width: width, height: height, pixels: pixels)
    }
}

// JPEG through TurboJPEG, the interface that returns errors instead of longjmping.

import CTurboJPEG

enum JPEGDecoder {
    /// Decodes; where `covering` is given, at the half, quarter or eighth whose shorter side is
    /// still at least that long: the inverse DCT then computes the smaller picture outright.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, limits: ImageLimits, covering: Int? = nil
    ) throws(ImageError) -> Image {
        let handle = try Handle(name: name)
        let header = try handle.header(bytes)
        try limits.check(header.width, header.height, name: name, format: .jpeg)
        let inks = header.isCMYK
        let part = share(of: min(header.width, header.height), covering: covering)
        // TurboJPEG rounds up, as TJSCALED does.
        let (width, height) = (
            (header.width + part - 1) / part, (header.height + part - 1) / part
        )
        let samples = try handle.pixels(
            bytes, width, height, format: inks ? TJPF_CMYK : TJPF_RGB, channels: inks ? 4 : 3)
        return Image(
            width: width, height: height, pixels: inks ? rgb(inverted: samples) : samples)
    }

    private static func share(of side: Int, covering: Int?) -> Int {
        guard let covering else { return 1 }
        return [8, 4, 2].first { side / $0 >= covering } ?? 1
    }

    /// RGB from CMYK as Adobe stores it, 255 for no ink; Pillow's arithmetic.
    private static func rgb(inverted samples: [UInt8]) -> [UInt8] {
        var pixels = [UInt8]()
        pixels.reserveCapacity(samples.count / 4 * 3)
        for base in stride(from: 0, to: samples.count, by: 4) {
            let light = Int(samples[base + 3])
            for ink in 0..<3 {
                let product = (255 - Int(samples[base + ink])) * light + 128
                let dimmed = light - (((product >> 8) + product) >> 8)
                pixels.append(UInt8(min(max(dimmed, 0), 255)))
            }
        }
        return pixels
    }
}

/// Owns a TurboJPEG decompressor.
private struct Handle: ~Copyable {
    let pointer: tjhandle
    let name: String

    init(name: String) throws(ImageError) {
        guard let pointer = tjInitDecompress() else {
            throw .malformed(
                name: name, format: "JPEG", reason: String(cString: tjGetErrorStr2(nil)))
        }
        self.pointer = pointer
        self.name = name
    }

    deinit { tjDestroy(pointer) }

    func header(_ bytes: UnsafeRawBufferPointer) throws(ImageError) -> (
        width: Int, height: Int, isCMYK: Bool
    ) {
        var width: Int32 = 0
        var height: Int32 = 0
        var subsampling: Int32 = 0
        var space: Int32 = 0
        let status = tjDecompressHeader3(
            pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), UInt(bytes.count),
            &width, &height, &subsampling, &space)
        try check(status)
        let inks = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
        return (Int(width), Int(height), inks)
    }

    func pixels(
        _ bytes: UnsafeRawBufferPointer, _ width: Int, _ height: Int, format: TJPF, channels: Int
    ) throws(ImageError) -> [UInt8] {
        var status: Int32 = -1
        let count = width * height * channels
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            target.initialize(repeating: 0)
            status = tjDecompress2(
                pointer, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
                UInt(bytes.count), target.baseAddress, Int32(width), 0, Int32(height),
                Int32(format.rawValue), TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)
            initialized = count
        }
        try check(status)
        return pixels
    }

    /// Throws for an error, and for the one warning that means that pixels are missing.
    private func check(_ status: Int32) throws(ImageError) {
        guard status != 0 else { return }
        let reason = String(cString: tjGetErrorStr2(pointer))
        if reason.contains("remature end") || reason.contains("ends prematurely") {
            throw .truncated(name: name, format: "JPEG")
        }
        guard tjGetErrorCode(pointer) == Int32(TJERR_WARNING.rawValue) else {
            throw .malformed(name: name, format: "JPEG", reason: reason)
        }
    }
}

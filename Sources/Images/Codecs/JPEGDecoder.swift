// JPEG through TurboJPEG, the interface that returns errors instead of longjmping.

import CTurboJPEG

enum JPEGDecoder {
    /// The pixels a side that libjpeg decodes.
    private static let largestSide = 65_500
    /// The samples whose coefficients, two bytes each, a JPEG of several scans may keep in memory.
    private static let keptSamples = 600_000_000

    /// Decodes; where `covering` is given, at the half, quarter or eighth whose shorter side is
    /// still at least that long: the inverse DCT then computes the smaller picture outright, so that
    /// the limit on pixels is one on the smaller picture.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, limits: ImageLimits, covering: Int? = nil
    ) throws(ImageError) -> Image {
        let markers = JPEGHeader(bytes)
        if let feature = markers?.unreadFeature {
            throw .unsupported(name: name, format: "JPEG", feature: feature)
        }
        let handle = try Handle(name: name)
        let header = try handle.header(bytes)
        let inks = header.isCMYK
        let part = RowReducer.factor(
            width: header.width, height: header.height, covering: covering)
        // TurboJPEG rounds up, as TJSCALED does.
        let (width, height) = (
            (header.width + part - 1) / part, (header.height + part - 1) / part
        )
        try limits.check(header.width, header.height, name: name, format: .jpeg, factor: part)
        guard max(header.width, header.height) <= largestSide else {
            throw .tooLarge(
                name: name, width: header.width, height: header.height, limits: limits)
        }
        if let markers, markers.hasManyScans, markers.sampleCount > keptSamples {
            throw .unsupported(
                name: name, format: "JPEG",
                feature: "several scans of \(header.width) × \(header.height) pixels, which are "
                    + "decoded in memory,")
        }
        let (format, channels) = inks ? (TJPF_CMYK, 4) : (TJPF_RGB, 3)
        let samples: [UInt8]
        do {
            samples = try handle.pixels(bytes, width, height, format: format, channels: channels)
        } catch ImageError.truncated where markers?.canTellItsEnd == true {
            // A file that lacks only the marker of its end is whole: with one, libjpeg is content.
            let ended = Array(bytes) + [0xFF, 0xD9]
            let result = ended.withUnsafeBytes { bytes in
                Result { () throws(ImageError) in
                    try handle.pixels(bytes, width, height, format: format, channels: channels)
                }
            }
            samples = try result.get()
        }
        return Image(
            reduced: inks ? rgb(inverted: samples) : samples, width: width, height: height,
            from: (header.width, header.height), by: part)
    }

    /// RGB from CMYK as Adobe stores it, 255 for no ink; Pillow's arithmetic.
    private static func rgb(inverted samples: [UInt8]) -> [UInt8] {
        var pixels = [UInt8]()
        pixels.reserveCapacity(samples.count / 4 * 3)
        for base in stride(from: 0, to: samples.count, by: 4) {
            let light = samples[base + 3]
            for ink in 0..<3 {
                pixels.append(dimmed(light, by: 255 - samples[base + ink]))
            }
        }
        return pixels
    }

    /// The part of `light`, which black ink leaves, that an ink leaves of it.
    static func dimmed(_ light: UInt8, by ink: UInt8) -> UInt8 {
        let product = Int(ink) * Int(light) + 128
        return UInt8(max(Int(light) - (((product >> 8) + product) >> 8), 0))
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
        // What libjpeg-turbo was built without.
        if reason.contains("rithmetic") {
            throw .unsupported(name: name, format: "JPEG", feature: "arithmetic coding")
        }
        guard tjGetErrorCode(pointer) == Int32(TJERR_WARNING.rawValue) else {
            throw .malformed(name: name, format: "JPEG", reason: reason)
        }
    }
}

// Bytes to pixels: the format is told by its first bytes, never by the name.

import GraftTensors

/// A picture format that is read here.
public enum ImageFormat: String, Sendable, CaseIterable {
    /// Baseline or progressive, grey, YCbCr, RGB or CMYK.
    case jpeg = "JPEG"
    /// Any colour type and depth, reduced to 8 bits.
    case png = "PNG"
    /// Lossy or lossless, one frame.
    case webp = "WebP"

    /// The format that these first bytes belong to.
    init?(magic bytes: UnsafeRawBufferPointer) {
        func starts(_ magic: [UInt8], at offset: Int = 0) -> Bool {
            bytes.count >= offset + magic.count
                && magic.indices.allSatisfy { bytes[offset + $0] == magic[$0] }
        }
        if starts([0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if starts(Array("RIFF".utf8)), starts(Array("WEBP".utf8), at: 8) {
            self = .webp
        } else {
            return nil
        }
    }
}

extension Image {
    /// Reads a JPEG, PNG or WebP file.
    ///
    /// Alpha is dropped and grey becomes RGB, as in Pillow's `convert("RGB")`. The EXIF
    /// orientation is applied, unlike in Pillow and TensorFlow, unless `orient` is false.
    /// `covering` is the length of the shorter side that is needed: a JPEG of more is decoded at a
    /// half, a quarter or an eighth of its size, which is much cheaper.
    public static func decode(
        path: String, orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits()
    ) throws -> Image {
        let storage = try Storage(mapping: path)
        return try storage.withBytes { bytes in
            try decode(bytes, name: path, orient: orient, covering: covering, limits: limits)
        }
    }

    /// Reads a JPEG, PNG or WebP that is in memory; `name` is what errors call it.
    public static func decode(
        _ bytes: [UInt8], name: String = "picture", orient: Bool = true,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in
                try decode(bytes, name: name, orient: orient, limits: limits)
            }
        }
        return try result.get()
    }

    /// Reads a picture from bytes that lie elsewhere: a part of an archive, a mapped file.
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        guard let format = ImageFormat(magic: bytes) else {
            throw .unknownFormat(name: name, found: looks(like: bytes))
        }
        let image =
            switch format {
            case .jpeg:
                try JPEGDecoder.decode(bytes, name: name, limits: limits, covering: covering)
            case .png: try PNGCodec.decode(bytes, name: name, limits: limits)
            case .webp: try WebPDecoder.decode(bytes, name: name, limits: limits)
            }
        return orient ? image.oriented(Orientation.find(in: bytes, format)) : image
    }
}

/// What bytes of no known format look like, in words.
private func looks(like bytes: UnsafeRawBufferPointer) -> String {
    let head = bytes.prefix(12)
    func starts(_ text: String, at offset: Int = 0) -> Bool {
        head.dropFirst(offset).starts(with: text.utf8)
    }
    if head.isEmpty { return "an empty file" }
    if starts("GIF8") { return "a GIF" }
    if starts("BM") { return "a BMP" }
    if starts("II*") || starts("MM\0*") { return "a TIFF" }
    if starts("ftypavif", at: 4) { return "an AVIF" }
    if starts("ftyp", at: 4) { return "an HEIC or another ISO media file" }
    if starts("%PDF") { return "a PDF" }
    if starts("<") { return "a text file that starts with `<`, perhaps a web page" }
    let digits = Array("0123456789abcdef")
    let hex = head.prefix(4).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }
    return "bytes that start with `\(hex.joined(separator: " "))`"
}

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
}

extension ImageFormat {
    /// The formats in words: `JPEG, PNG or WebP`.
    public static var list: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
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
        let kind = ContentKind(sniffing: bytes, name: name)
        guard let format = kind.format else {
            throw .unknownFormat(name: name, found: kind.phrase(for: bytes))
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

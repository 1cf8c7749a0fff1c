// Bytes to pixels: the format is told by its first bytes, never by the name.

package import GraftSystem
import GraftTensors

/// A picture format that is read here.
public enum ImageFormat: String, Sendable, CaseIterable {
    /// Baseline or progressive, grey, YCbCr, RGB or CMYK.
    case jpeg = "JPEG"
    /// Any colour type and depth, reduced to 8 bits.
    case png = "PNG"
    /// Lossy or lossless; the first frame of an animation.
    case webp = "WebP"
    /// Windows and OS/2 bitmaps, of any header, depth, bit masks and run-length code.
    case bmp = "BMP"
    /// The first frame on its canvas.
    case gif = "GIF"
    /// Grey, RGB, palette, CMYK and YCbCr of up to 16 bits, in strips or tiles; the first image.
    case tiff = "TIFF"
    /// As phones write it: grids of tiles, turned and mirrored.
    case heic = "HEIC"
    /// AVIF, its primary image.
    case avif = "AVIF"
}

extension ImageFormat {
    /// The formats in words: `JPEG, PNG or WebP`.
    public static var list: String {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }
}

extension Image {
    /// Reads an image file of any ``ImageFormat``, told by its content.
    ///
    /// ```swift
    /// let image = try Image.decode(path: "cat.heic", covering: 224)
    /// ```
    ///
    /// Alpha is dropped and grey becomes RGB, as in Pillow's `convert("RGB")`. The EXIF
    /// orientation is applied, unlike in Pillow and TensorFlow, unless `orient` is false. GIF, TIFF,
    /// HEIC and AVIF images are decoded by libraries that are opened where `Isolation.current` says.
    ///
    /// - Parameter covering: The length of the shorter side that is needed. A JPEG of more is decoded
    ///   at a half, a quarter or an eighth of its size, which is much cheaper, and so are PNG and TIFF
    ///   images of more than 25 million pixels; an image of any other format is decoded whole.
    /// - Throws: ``ImageError``, and `FileError` if the file cannot be opened.
    public static func decode(
        path: String, orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits()
    ) throws -> Image {
        let storage = try Storage(mapping: path)
        return try storage.withBytes { bytes in
            try decode(bytes, name: path, orient: orient, covering: covering, limits: limits)
        }
    }

    /// Reads an image file that is in memory; `name` is what errors call it.
    public static func decode(
        _ bytes: [UInt8], name: String = "picture", orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in
                try decode(bytes, name: name, orient: orient, covering: covering, limits: limits)
            }
        }
        return try result.get()
    }

    /// Reads an image file from bytes that lie elsewhere: a part of an archive, a mapped file.
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits()
    ) throws(ImageError) -> Image {
        try decode(
            bytes, name: name, orient: orient, covering: covering, limits: limits,
            isolation: .current)
    }

    /// The same with the place in which a library may decode.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, name: String, orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits(), isolation: Isolation
    ) throws(ImageError) -> Image {
        let kind = ContentKind(sniffing: bytes, name: name)
        guard let format = kind.format else {
            throw .unknownFormat(name: name, found: kind.phrase(for: bytes))
        }
        let image: Image
        switch format {
        case .jpeg:
            image = try JPEGDecoder.decode(bytes, name: name, limits: limits, covering: covering)
        case .png:
            image = try PNGCodec.decode(bytes, name: name, limits: limits, covering: covering)
        case .webp: image = try WebPDecoder.decode(bytes, name: name, limits: limits)
        case .bmp: image = try BMPDecoder.decode(bytes, name: name, limits: limits)
        case .gif, .tiff, .heic, .avif:
            // These know their orientation themselves.
            return try ImageWorkers.decode(
                bytes,
                DecodeRequest(
                    format: format, name: name, orient: orient, covering: covering, limits: limits),
                isolation)
        }
        return orient ? image.oriented(Orientation.find(in: bytes, format)) : image
    }
}

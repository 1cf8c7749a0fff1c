// Bytes to pixels: the format is told by its first bytes, never by the name.

package import GraftSystem
import GraftTensors

extension Image {
    /// Reads an image file of a ``ContentKind`` that is readable, told by its content.
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
        let image: Image
        switch kind {
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
                    format: kind, name: name, orient: orient, covering: covering, limits: limits),
                isolation)
        default: throw .unknownFormat(name: name, found: kind.phrase(for: bytes))
        }
        return orient ? image.oriented(Orientation.find(in: bytes, kind)) : image
    }
}

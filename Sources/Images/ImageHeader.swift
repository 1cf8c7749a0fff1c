// The size and orientation of an image from its first bytes: nothing is decoded.

import GraftTensors

/// The size of an image as it is stored, and how it is turned to be shown.
public struct ImageHeader: Sendable, Hashable {
    /// The number of columns in the file.
    public let storedWidth: Int
    /// The number of rows in the file.
    public let storedHeight: Int
    /// EXIF's orientation, 1 to 8.
    public let orientation: Int

    /// The width of the image as it is shown.
    public var width: Int { orientation > 4 ? storedHeight : storedWidth }
    /// The height of the image as it is shown.
    public var height: Int { orientation > 4 ? storedWidth : storedHeight }

    /// Reads the header of a file; an image whose header is unusual is decoded.
    ///
    /// - Throws: ``ImageError`` or `FileError` if the file is not an image.
    public init(path: String) throws {
        let storage = try Storage(mapping: path)
        self = try storage.withBytes { try ImageHeader($0, name: path) }
    }

    /// Reads the header of an image in memory; `name` is how errors call it.
    public init(_ bytes: UnsafeRawBufferPointer, name: String) throws {
        if let format = ContentKind(sniffing: bytes, name: name).format,
            let size = Self.size(bytes, format),
            size.width > 0, size.height > 0
        {
            (storedWidth, storedHeight) = size
            orientation = Orientation.find(in: bytes, format)
            return
        }
        let image = try Image.decode(bytes, name: name)
        (storedWidth, storedHeight, orientation) = (image.width, image.height, 1)
    }

    private static func size(_ bytes: UnsafeRawBufferPointer, _ format: ImageFormat)
        -> (width: Int, height: Int)?
    {
        if format == .jpeg { return jpeg(bytes) }
        if format == .png {
            return bytes.count < 24 ? nil : (big(bytes, 16, 4), big(bytes, 20, 4))
        }
        return format == .webp ? webp(bytes) : nil
    }

    /// The first frame header.
    private static func jpeg(_ bytes: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        var at = 2
        while at + 9 <= bytes.count, bytes[at] == 0xFF {
            let kind = bytes[at + 1]
            switch kind {
            case 0xFF: at += 1
            case 0x01, 0xD0...0xD8: at += 2
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                return (big(bytes, at + 7, 2), big(bytes, at + 5, 2))
            case 0xD9, 0xDA: return nil
            default: at += 2 + max(big(bytes, at + 2, 2), 2)
            }
        }
        return nil
    }

    /// The canvas of an extended file, or the size of a simple one.
    private static func webp(_ bytes: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard bytes.count >= 30 else { return nil }
        func little(_ at: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
        }
        switch String(decoding: bytes[12..<16], as: UTF8.self) {
        case "VP8X": return (little(24, 3) + 1, little(27, 3) + 1)
        case "VP8 ": return (little(26, 2) & 0x3FFF, little(28, 2) & 0x3FFF)
        case "VP8L":
            let bits = little(21, 4)
            return (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1)
        default: return nil
        }
    }

    private static func big(_ bytes: UnsafeRawBufferPointer, _ at: Int, _ count: Int) -> Int {
        (0..<count).reduce(0) { $0 << 8 | Int(bytes[at + $1]) }
    }
}

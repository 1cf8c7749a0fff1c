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
        let kind = ContentKind(sniffing: bytes, name: name)
        if let size = Self.size(bytes, kind), size.width > 0, size.height > 0 {
            (storedWidth, storedHeight) = size
            orientation =
                kind == .tiff
                ? Self.tiffOrientation(bytes) : Orientation.find(in: bytes, kind)
            return
        }
        let image = try Image.decode(bytes, name: name)
        (storedWidth, storedHeight, orientation) = (image.width, image.height, 1)
    }

    private static func size(_ bytes: UnsafeRawBufferPointer, _ kind: ContentKind)
        -> (width: Int, height: Int)?
    {
        switch kind {
        case .jpeg: jpeg(bytes)
        case .png: bytes.count < 24 ? nil : (big(bytes, 16, 4), big(bytes, 20, 4))
        case .webp: webp(bytes)
        case .bmp: (try? BMPHeader(bytes, name: "")).map { ($0.width, $0.height) }
        case .tiff: tiff(bytes)
        default: nil
        }
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

    /// The size of the first image; nil of a BigTIFF.
    private static func tiff(_ bytes: UnsafeRawBufferPointer) -> (width: Int, height: Int)? {
        guard let width = tiffValue(of: 256, in: bytes), let height = tiffValue(of: 257, in: bytes)
        else { return nil }
        return (width, height)
    }

    private static func tiffOrientation(_ bytes: UnsafeRawBufferPointer) -> Int {
        tiffValue(of: 274, in: bytes).flatMap { (1...8).contains($0) ? $0 : nil } ?? 1
    }

    private static func tiffValue(of tag: Int, in bytes: UnsafeRawBufferPointer) -> Int? {
        let entry = TIFFBytes(bytes: bytes)?.firstDirectory?.first { $0.tag == tag }
        guard let entry, entry.count == 1, entry.type == 3 || entry.type == 4 else { return nil }
        return entry.value
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

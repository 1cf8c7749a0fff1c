// The committed pictures, and what Pillow made of them.

import Foundation
import GraftImages
import GraftSystem

enum Fixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/images")

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The picture as Pillow reads it.
    static func expected(_ name: String) throws -> Image {
        let bytes = try bytes(name + ".rgb")
        return try Image(
            width: Int(bytes[0]) + Int(bytes[1]) << 8, height: Int(bytes[2]) + Int(bytes[3]) << 8,
            pixels: Array(bytes.dropFirst(4)))
    }

    static let readable = [
        "plain.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "turned.jpg",
        "arithmetic.jpg", "arithmetic-progressive.jpg", "plain.png",
        "gray.png", "bilevel.png", "alpha.png", "gray-alpha.png", "palette.png", "gamma.png",
        "rgb16.png", "gray16.png", "lossless.webp", "lossy.webp", "alpha.webp", "animated.webp",
        "plain.bmp", "palette4.bmp", "os2.bmp", "rle4.bmp", "rle8.bmp", "bilevel.bmp", "rgb555.bmp",
        "rgb565.bmp", "masks32.bmp", "topdown.bmp",
    ]

    /// Those that a library decodes in a process of its own.
    static let confined = [
        "picture.gif", "part.gif", "transparent.gif", "interlaced.gif", "lzw.tiff", "cmyk.tiff",
        "palette.tiff", "fax.tiff", "turned.tiff", "rgb16.tiff", "tiles.tiff", "planes.tiff",
        "premultiplied.tiff", "photo.heic", "photo.avif",
    ]

    /// Images are decoded by the program: `$GRAFT`, or the one beside the test bundle.
    static let isolation: Isolation = {
        if let path = ProcessInfo.processInfo.environment["GRAFT"] {
            return .process(program: path)
        }
        let bundle = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        return .process(program: bundle.deletingLastPathComponent().appending(path: "graft").path)
    }()

    /// Decodes as ``Image/decode(_:name:orient:covering:limits:)-([UInt8],_,_,_,_)``, in a process.
    static func decode(
        _ bytes: [UInt8], name: String = "a", orient: Bool = true, covering: Int? = nil,
        limits: ImageLimits = ImageLimits(), isolation: Isolation = Fixture.isolation
    ) throws(ImageError) -> Image {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in
                try Image.decode(
                    bytes, name: name, orient: orient, covering: covering, limits: limits,
                    isolation: isolation)
            }
        }
        return try result.get()
    }
}

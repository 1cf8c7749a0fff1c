// The committed pictures, and what Pillow made of them.

import Foundation
import GraftImages

enum Fixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/images")

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// The picture as Pillow reads it.
    static func expected(_ name: String) throws -> Image {
        let bytes = try bytes(name + ".rgb")
        return Image(
            width: Int(bytes[0]) + Int(bytes[1]) << 8, height: Int(bytes[2]) + Int(bytes[3]) << 8,
            pixels: Array(bytes.dropFirst(4)))
    }

    static let readable = [
        "plain.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg", "turned.jpg", "plain.png",
        "gray.png", "bilevel.png", "alpha.png", "gray-alpha.png", "palette.png", "gamma.png",
        "rgb16.png", "gray16.png", "lossless.webp", "lossy.webp", "alpha.webp",
    ]
}

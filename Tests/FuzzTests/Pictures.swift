// The decoders of pictures.

import GraftImages

extension Parser {
    static let pictures: [Parser] = [
        picture("jpeg", "jpg"), picture("png", "png"), picture("webp", "webp"),
    ]

    private static func picture(_ name: String, _ ending: String) -> Parser {
        Parser(name: name, seeds: [ending]) { bytes, _ in
            let limits = ImageLimits(side: 4096, pixels: 1 << 20)
            for covering in [nil, 8] {
                let image = try bytes.withUnsafeBytes {
                    try Image.decode($0, name: "x", covering: covering, limits: limits)
                }
                precondition(image.pixels.count == image.width * image.height * 3)
            }
        }
    }
}

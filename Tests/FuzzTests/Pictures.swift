// The decoders of images that run in the program itself, the sniffer of kinds, and what decoding processes answer.

import GraftTensors

@testable import GraftFormats
@testable import GraftImages

extension Parser {
    static let pictures: [Parser] = [
        picture("jpeg", "jpg"), picture("png", "png"), picture("webp", "webp"),
        picture("bmp", "bmp"),
        Parser(name: "content-kind", seeds: ["jpg", "png", "webp", "bmp", "gif", "tiff", "heic"]) {
            bytes, _ in
            for name in ["", "x.tga", "x.nef"] {
                let kind = ContentKind(sniffing: bytes, name: name)
                _ = bytes.withUnsafeBytes { kind.phrase(for: $0) }
                guard kind.isReadable else { continue }
                let header = try? bytes.withUnsafeBytes { try ImageHeader($0, name: name) }
                precondition((header?.orientation ?? 1) >= 1)
            }
        },
        // What a decoder that an image has taken over may say, after and in place of an image.
        Parser(name: "image-reply", seeds: []) { bytes, _ in
            var request = DecodeRequest(
                format: .tiff, name: "x", orient: true, covering: nil,
                limits: ImageLimits(side: 64, pixels: 1024))
            request.limits.seconds = 1
            let file = [UInt8](repeating: 7, count: 100)
            let stream = Stream(bytes)
            file.withUnsafeBytes { file in
                let dialogue = ImageDialogue(
                    request: request, bytes: file, send: { $0.count <= 100 }, fill: stream.fill)
                guard case .image(let image) = dialogue.run() else { return }
                precondition(image.pixels.count == image.width * image.height * 3)
            }
            _ = DecodeRequest.decoded(bytes)
        },
        // The same of the process that reads archives.
        Parser(name: "archive-entry", seeds: []) { bytes, _ in
            guard let entry = ArchiveEntry(message: bytes) else { return }
            precondition(ArchiveEntry(message: entry.message) == entry)
        },
    ]

    /// Bytes that are read from the front, as from a socket.
    private final class Stream {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: [UInt8]) { rest = bytes[...] }

        func fill(_ target: UnsafeMutableRawBufferPointer) -> Bool {
            guard target.count <= rest.count else { return false }
            target.copyBytes(from: rest.prefix(target.count))
            rest = rest.dropFirst(target.count)
            return true
        }
    }

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

// The first frame of a GIF on its canvas, through giflib.

import CImageCodecs

enum GIFDecoder {
    static func decode(_ source: any ByteSource, _ request: DecodeRequest)
        throws(ImageError) -> Image
    {
        let gif = try LoadedCodec.gif(request)
        let reader = ByteReader(source)
        var code: Int32 = 0
        let file = gif.open(
            Unmanaged.passUnretained(reader).toOpaque(),
            { file, target, count in
                guard let user = file?.pointee.user, let target, count > 0 else { return 0 }
                let reader = Unmanaged<ByteReader>.fromOpaque(user).takeUnretainedValue()
                let buffer = UnsafeMutableRawBufferPointer(start: target, count: Int(count))
                return Int32(reader.read(buffer) ?? 0)
            }, &code)
        guard let file else { throw failure(code, gif, reader, request) }
        defer {
            _ = gif.close(file, nil)
            withExtendedLifetime(reader) {}
        }
        return try GIFFrame(gif: gif, file: file, reader: reader, request: request).image()
    }

    static func failure(
        _ code: Int32, _ gif: graft_gif, _ reader: ByteReader, _ request: DecodeRequest
    ) -> ImageError {
        if reader.position >= reader.source.count { return request.truncated }
        let reason = gif.error(code).map { String(cString: $0) } ?? "error \(code)"
        return request.malformed(reason.lowercased())
    }
}

/// An open GIF, of which the first frame is read.
private struct GIFFrame {
    let gif: graft_gif
    let file: UnsafeMutablePointer<graft_gif_file>
    let reader: ByteReader
    let request: DecodeRequest

    private var failure: ImageError {
        GIFDecoder.failure(file.pointee.error, gif, reader, request)
    }

    func image() throws(ImageError) -> Image {
        var transparent: UInt8?
        while true {
            var record: Int32 = 0
            guard gif.record(file, &record) != 0 else { throw failure }
            switch record {
            case 2:
                guard gif.frame(file) != 0 else { throw failure }
                return try frame(transparent: transparent)
            case 3: transparent = try skipExtension() ?? transparent
            default: throw request.malformed("it has no frame")
            }
        }
    }

    /// Passes over an extension; the transparent index if it is one that has it.
    private func skipExtension() throws(ImageError) -> UInt8? {
        var kind: Int32 = 0
        var block: UnsafeMutablePointer<UInt8>?
        guard gif.extension(file, &kind, &block) != 0 else { throw failure }
        var transparent: UInt8?
        // A block starts with its length; a graphic control is flags, two bytes of time, the index.
        if kind == 0xF9, let block, block[0] >= 4, block[1] & 1 == 1 { transparent = block[4] }
        while block != nil {
            guard gif.next_extension(file, &block) != 0 else { throw failure }
        }
        return transparent
    }

    /// The frame on its canvas, which is as large as both; where there is no frame, the transparent
    /// colour, or the first.
    private func frame(transparent: UInt8?) throws(ImageError) -> Image {
        let info = file.pointee
        let (left, top) = (Int(info.frame.left), Int(info.frame.top))
        let (frameWidth, frameHeight) = (Int(info.frame.width), Int(info.frame.height))
        let width = max(Int(info.width), left + frameWidth)
        let height = max(Int(info.height), top + frameHeight)
        guard left >= 0, top >= 0, frameWidth > 0, frameHeight > 0 else {
            throw request.malformed("its first frame is \(frameWidth) × \(frameHeight)")
        }
        try request.check(width: width, height: height)
        let palette = colors(info.frame.palette ?? info.palette)
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        if frameWidth < width || frameHeight < height {
            let ground = palette[Int(transparent ?? 0)]
            for at in stride(from: 0, to: pixels.count, by: 3) {
                pixels[at] = ground.red
                pixels[at + 1] = ground.green
                pixels[at + 2] = ground.blue
            }
        }
        var line = [UInt8](repeating: 0, count: frameWidth)
        // Interlaced: every eighth row, those between, and so on.
        let passes =
            info.frame.is_interlaced ? [(0, 8), (4, 8), (2, 4), (1, 2)] : [(0, 1)]
        for (start, step) in passes {
            for y in stride(from: start, to: frameHeight, by: step) {
                let isRead = line.withUnsafeMutableBufferPointer {
                    gif.line(file, $0.baseAddress, Int32(frameWidth)) != 0
                }
                guard isRead else { throw failure }
                var at = ((top + y) * width + left) * 3
                for index in line {
                    let color = palette[Int(index)]
                    pixels[at] = color.red
                    pixels[at + 1] = color.green
                    pixels[at + 2] = color.blue
                    at += 3
                }
            }
        }
        return Image(sized: width, height, pixels)
    }

    /// 256 colours: those of the palette, and grey beyond it, as Pillow has it.
    private func colors(_ palette: UnsafePointer<graft_gif_palette>?) -> [Color] {
        var colors = (0...255).map { Color(UInt8($0), UInt8($0), UInt8($0)) }
        guard let palette = palette?.pointee, let entries = palette.colors else { return colors }
        for index in 0..<min(256, max(0, Int(palette.count))) {
            colors[index] = Color(
                entries[index * 3], entries[index * 3 + 1], entries[index * 3 + 2])
        }
        return colors
    }
}

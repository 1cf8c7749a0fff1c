// HEIC and AVIF through libheif: the primary image, turned and mirrored as the file says, without alpha.

import CImageCodecs

enum HEIFDecoder {
    /// The largest file: libheif has it in memory whole.
    private static let largestFile = 1 << 30

    static func decode(_ source: any ByteSource, _ request: DecodeRequest)
        throws(ImageError) -> Image
    {
        let heif = try LoadedCodec.heif(request)
        guard source.count <= largestFile else {
            throw request.unsupported("\(source.count) bytes")
        }
        guard let bytes = source.all() else { throw request.truncated }
        let decoding = HEIFDecoding(heif: heif, request: request)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in try decoding.image(bytes) }
        }
        return try result.get()
    }
}

/// One image's way through libheif.
private struct HEIFDecoding {
    let heif: graft_heif
    let request: DecodeRequest

    func image(_ bytes: UnsafeRawBufferPointer) throws(ImageError) -> Image {
        guard let context = heif.context_alloc?() else { throw outOfMemory }
        defer { heif.context_free?(context) }
        // Tiles are decoded by this thread: one process per image is parallel enough.
        heif.set_threads?(context, 0)
        try check(heif.read(context, bytes.baseAddress, bytes.count, nil))
        var primary: UnsafeMutableRawPointer?
        try check(heif.primary(context, &primary))
        guard let primary else { throw request.malformed("it has no primary image") }
        defer { heif.handle_release(primary) }
        try request.check(
            width: Int(heif.handle_width(primary)), height: Int(heif.handle_height(primary)))
        if request.format == .avif, heif.handle_bits(primary) == 8,
            let chroma = AV1Configuration.halvedChroma(bytes),
            let image = try fromPlanes(primary, chroma: chroma)
        {
            return image
        }
        return try converted(primary)
    }

    /// The image as libheif converts it to RGB.
    private func converted(_ handle: UnsafeMutableRawPointer) throws(ImageError) -> Image {
        let decoded = try decoded(
            handle, space: GRAFT_HEIF_RGB, chroma: GRAFT_HEIF_INTERLEAVED_RGB)
        defer { heif.release(decoded) }
        let plane = try plane(decoded, channel: 10, bytesPerPixel: 3)
        let count = plane.width * plane.height * 3
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            for y in 0..<plane.height {
                target.baseAddress?.advanced(by: y * plane.width * 3)
                    .initialize(from: plane.row(y), count: plane.width * 3)
            }
            initialized = count
        }
        return Image(sized: plane.width, plane.height, pixels)
    }

    /// The image of an AVIF whose colour is halved, whose planes are joined here: libheif repeats
    /// samples of colour, where Pillow's library blends them. Nil if the planes are of another kind.
    private func fromPlanes(_ handle: UnsafeMutableRawPointer, chroma: Int)
        throws(ImageError) -> Image?
    {
        let decoded: UnsafeMutableRawPointer
        do {
            decoded = try self.decoded(handle, space: GRAFT_HEIF_YCBCR, chroma: chroma)
        } catch {
            // What is wrong shows up in the other conversion too.
            return nil
        }
        defer { heif.release(decoded) }
        guard heif.chroma(decoded) == Int32(chroma),
            (0..<3).allSatisfy({ heif.bits(decoded, $0) == 8 })
        else { return nil }
        // libheif converts planes to BT.601 in full range, and then leaves the profile out.
        var matrix = ColorMatrix(matrix: 6, isFullRange: true)
        var profile: UnsafeMutablePointer<graft_heif_nclx>?
        if heif.image_nclx(decoded, &profile).code == 0, let profile {
            // The identity and matrices that depend on the primaries are libheif's to convert.
            let number = Int(profile.pointee.matrix)
            let isKnown = [1, 2, 5, 6, 9, 10].contains(number)
            matrix = ColorMatrix(matrix: number, isFullRange: profile.pointee.full_range != 0)
            heif.nclx_free(profile)
            guard isKnown else { return nil }
        }
        let upsampling = ChromaUpsampling(
            luma: try plane(decoded, channel: 0, bytesPerPixel: 1),
            u: try plane(decoded, channel: 1, bytesPerPixel: 1),
            v: try plane(decoded, channel: 2, bytesPerPixel: 1),
            halvesRows: chroma == GRAFT_HEIF_420, matrix: matrix)
        guard upsampling.isSound else { return nil }
        return Image(sized: upsampling.luma.width, upsampling.luma.height, upsampling.pixels())
    }

    private func decoded(
        _ handle: UnsafeMutableRawPointer, space: Int,
        chroma: Int
    ) throws(ImageError) -> UnsafeMutableRawPointer {
        guard let options = heif.options_alloc() else { throw outOfMemory }
        defer { heif.options_free(options) }
        options.pointee.ignore_transformations = request.orient ? 0 : 1
        var image: UnsafeMutableRawPointer?
        try check(
            heif.decode(handle, &image, Int32(space), Int32(chroma), options))
        guard let image else { throw request.malformed("it has no pixels") }
        return image
    }

    /// A plane of a decoded image, whose size is checked again: it is not the header's to say.
    private func plane(
        _ image: UnsafeMutableRawPointer, channel: Int32, bytesPerPixel: Int
    ) throws(ImageError) -> Plane {
        let width = Int(heif.width(image, channel))
        let height = Int(heif.height(image, channel))
        try request.check(width: width, height: height)
        var stride: Int32 = 0
        guard let bytes = heif.plane(image, channel, &stride),
            Int(stride) >= width * bytesPerPixel
        else { throw request.malformed("a plane of its pixels is missing") }
        return Plane(bytes: bytes, stride: Int(stride), width: width, height: height)
    }

    private var outOfMemory: ImageError { request.malformed("there is not enough memory") }

    private func check(_ error: graft_heif_error) throws(ImageError) {
        guard error.code != 0 else { return }
        let reason = error.message.map { String(cString: $0) } ?? "error \(error.code)"
        if error.code == Int32(GRAFT_HEIF_UNSUPPORTED_FEATURE) {
            // Newer systems have the decoders in packages of their own.
            if error.subcode == Int32(GRAFT_HEIF_UNSUPPORTED_CODEC) {
                throw LoadedCodec.heif.missing(
                    request,
                    package: LoadedCodec.heifPlugin(request.format))
            }
            throw request.unsupported("a feature that libheif lacks (\(reason.lowercased()))")
        }
        if reason.contains("nd of file") || reason.contains("End of data") {
            throw request.truncated
        }
        throw request.malformed(reason.lowercased())
    }
}

/// What an AVIF says of its coded images.
private enum AV1Configuration {
    /// The chroma of the first image in colour, as libheif numbers it, if it is halved.
    static func halvedChroma(_ bytes: UnsafeRawBufferPointer) -> Int? {
        // The box is among the properties in front of the pixels; its flags follow two bytes.
        let head = bytes.prefix(1 << 16)
        var at = 0
        while at + 7 < head.count {
            guard head[at] == UInt8(ascii: "a"), head[at + 1] == UInt8(ascii: "v"),
                head[at + 2] == UInt8(ascii: "1"), head[at + 3] == UInt8(ascii: "C")
            else {
                at += 1
                continue
            }
            let flags = head[at + 6]
            if flags & 0x10 == 0 {
                guard flags & 0x08 != 0 else { return nil }
                return flags & 0x04 != 0 ? GRAFT_HEIF_420 : GRAFT_HEIF_422
            }
            at += 4
        }
        return nil
    }
}

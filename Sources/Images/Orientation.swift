// EXIF's orientation: which way up the camera was held. A short parser that only ever reads.

enum Orientation {
    /// The orientation that the file's EXIF block gives, or 1 if there is none or it is broken.
    static func find(in bytes: UnsafeRawBufferPointer, _ kind: ContentKind) -> Int {
        let file = Bytes(bytes: bytes, bigEndian: true)
        let block =
            switch kind {
            case .jpeg: jpegBlock(file)
            case .png: pngBlock(file)
            case .webp: webpBlock(Bytes(bytes: bytes, bigEndian: false))
            // They have none, or their decoders apply it.
            default: nil as UnsafeRawBufferPointer?
            }
        guard let block, let value = orientation(tiff: block), (1...8).contains(value) else {
            return 1
        }
        return value
    }

    /// The TIFF block in the first APP1 segment that is EXIF.
    private static func jpegBlock(_ file: Bytes) -> UnsafeRawBufferPointer? {
        var at = 2
        while let marker = file.u16(at), marker >> 8 == 0xFF {
            let kind = marker & 0xFF
            if kind == 0xFF {
                at += 1
                continue
            }
            // Start of scan or end of image: no EXIF comes after.
            guard kind != 0xDA, kind != 0xD9, let length = file.u16(at + 2), length >= 2 else {
                return nil
            }
            if kind == 0xE1, let segment = file.slice(at + 4, length - 2),
                segment.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0])
            {
                return UnsafeRawBufferPointer(rebasing: segment.dropFirst(6))
            }
            at += 2 + length
        }
        return nil
    }

    /// The contents of the eXIf chunk.
    private static func pngBlock(_ file: Bytes) -> UnsafeRawBufferPointer? {
        var at = 8
        while let length = file.u32(at), let kind = file.u32(at + 4) {
            if kind == 0x6558_4966 { return file.slice(at + 8, length) }
            at += 12 + length
        }
        return nil
    }

    /// The contents of the EXIF chunk, with or without JPEG's prefix.
    private static func webpBlock(_ file: Bytes) -> UnsafeRawBufferPointer? {
        var at = 12
        while let kind = file.u32(at), let length = file.u32(at + 4) {
            // "EXIF" read as a little-endian number.
            if kind == 0x4649_5845, let block = file.slice(at + 8, length) {
                let prefixed = block.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0])
                return prefixed ? UnsafeRawBufferPointer(rebasing: block.dropFirst(6)) : block
            }
            at += 8 + length + length % 2
        }
        return nil
    }

    /// Tag 0x0112 of the first directory of a TIFF.
    private static func orientation(tiff block: UnsafeRawBufferPointer) -> Int? {
        let entry = TIFFBytes(bytes: block)?.firstDirectory?.first { $0.tag == 0x0112 }
        return entry?.type == 3 ? entry?.value : nil
    }
}

/// Integers at offsets, nil past the end. Offsets stay below 2³³ a step, so none overflows.
private struct Bytes {
    let bytes: UnsafeRawBufferPointer
    let bigEndian: Bool

    func u16(_ at: Int) -> Int? {
        guard at >= 0, at <= bytes.count - 2 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self)
        return Int(bigEndian ? value.byteSwapped : value)
    }

    func u32(_ at: Int) -> Int? {
        guard at >= 0, at <= bytes.count - 4 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        return Int(bigEndian ? value.byteSwapped : value)
    }

    func slice(_ at: Int, _ length: Int) -> UnsafeRawBufferPointer? {
        guard at >= 0, length >= 0, at <= bytes.count, length <= bytes.count - at else {
            return nil
        }
        return UnsafeRawBufferPointer(rebasing: bytes[at..<(at + length)])
    }
}

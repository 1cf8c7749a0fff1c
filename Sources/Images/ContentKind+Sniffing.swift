// The kind of a file from its first bytes: signatures, and a look into TIFF and text.

extension ContentKind {
    /// The number of first bytes that sniffing looks at.
    public static let sniffedByteCount = 4_096

    /// The kind of a file that starts with `bytes`.
    ///
    /// - Parameter name: The file's name, which decides only between kinds whose bytes are alike:
    ///   camera raw files that are TIFF, and TGA, which has no signature.
    public init(sniffing bytes: UnsafeRawBufferPointer, name: String = "") {
        let head = Head(
            bytes: UnsafeRawBufferPointer(rebasing: bytes.prefix(ContentKind.sniffedByteCount)))
        let ending = ContentKind.fileExtension(of: name)
        self =
            ContentKind.raster(head, ending) ?? ContentKind.container(head)
            ?? ContentKind.other(head) ?? ContentKind.text(head)
            ?? ContentKind.unsigned(head, ending)
    }

    /// The kind of a file that starts with `bytes`.
    public init(sniffing bytes: [UInt8], name: String = "") {
        self = bytes.withUnsafeBytes { ContentKind(sniffing: $0, name: name) }
    }

    private static func raster(_ head: Head, _ ending: String?) -> ContentKind? {
        if head.bytes.isEmpty { return .empty }
        if head.starts([0xFF, 0xD8, 0xFF]) { return .jpeg }
        if head.starts([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if head.starts("RIFF"), head.starts("WEBP", at: 8) { return .webp }
        if head.starts("GIF87a") || head.starts("GIF89a") { return .gif }
        if head.starts("BM"), head.isBitmapHeader { return .bmp }
        let isTIFF = [
            [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43],
        ].contains { head.starts($0) }
        if isTIFF {
            let isRaw = ending.map(ContentKind.cameraRaw.extensions.contains) ?? false
            return isRaw || head.starts("CR", at: 8) || head.isRawDirectory ? .cameraRaw : .tiff
        }
        if head.starts([0xFF, 0x0A]) { return .jpegXL }
        if head.starts([0, 0, 0, 12]), head.starts("JXL ", at: 4) { return .jpegXL }
        if head.starts([0, 0, 0, 12]), head.starts("jP", at: 4) { return .jpeg2000 }
        if head.starts([0xFF, 0x4F, 0xFF, 0x51]) { return .jpeg2000 }
        if head.starts("II"), head.starts([0xBC], at: 2) { return .jpegXR }
        if head.starts("8BPS") { return .photoshop }
        for raw in ["IIRO", "IIRS", "MMOR", "IIU\0", "FUJIFILMCCD-RAW", "FOVb", "\0MRM"]
        where head.starts(raw) {
            return .cameraRaw
        }
        if head.starts("II"), head.starts("HEAPCCDR", at: 6) { return .cameraRaw }
        return nil
    }

    /// Boxes of the ISO base media format, RIFF and EBML: what is inside decides.
    private static func container(_ head: Head) -> ContentKind? {
        if head.starts("ftyp", at: 4) {
            let brands = head.brands
            if brands.contains(where: { ["avif", "avis"].contains($0) }) { return .avif }
            if brands.first == "crx " { return .cameraRaw }
            let heif = ["heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs"]
            if brands.contains(where: { heif.contains($0) }) { return .heic }
            if let major = brands.first,
                ["mif1", "mif2", "msf1", "miaf", "j2ki", "jpeg"].contains(major)
            {
                return .heic
            }
            return brands.first.map { $0.hasPrefix("M4A") || $0.hasPrefix("M4B") } == true
                ? .audio : .video
        }
        if head.starts("RIFF") {
            if head.starts("WAVE", at: 8) { return .audio }
            return head.starts("AVI ", at: 8) ? .video : .data
        }
        for atom in ["moov", "mdat", "wide", "free", "skip", "pnot"] where head.starts(atom, at: 4)
        {
            return .video
        }
        let videos: [[UInt8]] = [
            [0x1A, 0x45, 0xDF, 0xA3], [0, 0, 1, 0xBA], [0, 0, 1, 0xB3], [0x30, 0x26, 0xB2, 0x75],
            [0x46, 0x4C, 0x56, 1],
        ]
        for signature in videos where head.starts(signature) {
            return .video
        }
        if head.starts([0x47]), head.starts([0x47], at: 188), head.starts([0x47], at: 376) {
            return .video
        }
        for audio in ["ID3", "OggS", "fLaC", "FORM"] where head.starts(audio) { return .audio }
        return nil
    }

    private static func other(_ head: Head) -> ContentKind? {
        let signatures: [(ContentKind, [String])] = [
            (.pdf, ["%PDF"]), (.postScript, ["%!PS", "\u{4}%!PS"]), (.gimp, ["gimp xcf"]),
            (.directDraw, ["DDS "]), (.qoi, ["qoif"]), (.radiance, ["#?RADIANCE", "#?RGBE"]),
            (.fits, ["SIMPLE  ="]), (.icon, ["icns"]),
            (.otherImage, ["BPG", "FLIF", "AT&TFORM"]),
            (.archive, ["PK\u{3}\u{4}", "PK\u{5}\u{6}", "Rar!", "BZh"]),
            (.data, ["SQLite format 3", "PAR1"]),
            (.lfsPointer, ["version https://git-lfs", "version https://hawser", "# xet version"]),
        ]
        for (kind, heads) in signatures where heads.contains(where: { head.starts($0) }) {
            return kind
        }
        let binary: [(ContentKind, [UInt8])] = [
            (.openEXR, [0x76, 0x2F, 0x31, 0x01]), (.icon, [0, 0, 1, 0]), (.icon, [0, 0, 2, 0]),
            (.archive, [0x1F, 0x8B]), (.archive, [0xFD, 0x37, 0x7A, 0x58, 0x5A]),
            (.archive, [0x28, 0xB5, 0x2F, 0xFD]), (.archive, [0x37, 0x7A, 0xBC, 0xAF]),
            (.data, [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]), (.data, [0x89, 0x48, 0x44, 0x46]),
            (.appleDouble, [0, 5, 0x16, 7]), (.compoundDocument, [0xD0, 0xCF, 0x11, 0xE0]),
            (.otherImage, [0xD7, 0xCD, 0xC6, 0x9A]),
        ]
        // An icon counts its images; a TGA may start with the same zeros.
        for (kind, bytes) in binary where head.starts(bytes) {
            if kind == .icon, head.bytes.count < 6 || head.bytes[5] != 0 || head.bytes[4] == 0 {
                continue
            }
            return kind
        }
        if head.starts("DICM", at: 128) { return .dicom }
        if head.starts("ustar", at: 257) { return .archive }
        if head.bytes.count > 2, head.bytes[0] == UInt8(ascii: "P"),
            (UInt8(ascii: "1")...UInt8(ascii: "7")).contains(head.bytes[1])
                || [UInt8(ascii: "f"), UInt8(ascii: "F")].contains(head.bytes[1]),
            [0x0A, 0x0D, 0x20, 0x09].contains(head.bytes[2])
        {
            return .netpbm
        }
        return nil
    }

    private static func text(_ head: Head) -> ContentKind? {
        if head.starts([0xFF, 0xFE]) || head.starts([0xFE, 0xFF]) { return .text }
        var bytes = head.bytes[...]
        if head.starts([0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        let isText = bytes.allSatisfy {
            $0 >= 0x20 && $0 != 0x7F || (8...13).contains($0) || $0 == 27
        }
        guard isText else { return nil }
        let start = bytes.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(1_024)
        let words = String(decoding: start, as: UTF8.self).lowercased()
        if words.hasPrefix("<") {
            for page in ["<!doctype html", "<html", "<head", "<body"] where words.hasPrefix(page) {
                return .html
            }
            if words.contains("<svg") { return .svg }
            if words.contains("<html") { return .html }
            return words.hasPrefix("<?xml") || words.hasPrefix("<!--")
                || words.hasPrefix("<!doctype")
                || words.dropFirst().first?.isLetter == true ? .xml : .text
        }
        if words.hasPrefix("{") || words.hasPrefix("[") { return .json }
        return .text
    }

    /// What has no signature.
    private static func unsigned(_ head: Head, _ ending: String?) -> ContentKind {
        if ending == "tga", head.bytes.count >= 18, head.bytes[1] <= 1,
            [1, 2, 3, 9, 10, 11].contains(head.bytes[2])
        {
            return .targa
        }
        return .unknown
    }
}

/// The first bytes of a file, with questions that no length makes wrong.
private struct Head {
    let bytes: UnsafeRawBufferPointer

    func starts(_ signature: [UInt8], at offset: Int = 0) -> Bool {
        bytes.count >= offset + signature.count && bytes.dropFirst(offset).starts(with: signature)
    }

    func starts(_ signature: String, at offset: Int = 0) -> Bool {
        bytes.dropFirst(offset).starts(with: signature.utf8)
    }

    /// The brands of an `ftyp` box, the major one first.
    var brands: [String] {
        guard bytes.count >= 12 else { return [] }
        let length = bytes.loadUnaligned(as: UInt32.self).bigEndian
        let end = min(Int(length), bytes.count, 256)
        let places = [8] + Array(stride(from: 16, through: max(12, end - 4), by: 4))
        return places.filter { $0 + 4 <= bytes.count }.map { at in
            String(decoding: bytes[at..<(at + 4)], as: UTF8.self)
        }
    }

    /// Whether the header after `BM` is one that bitmaps have, so that a text that starts so is none.
    var isBitmapHeader: Bool {
        guard bytes.count >= 18 else { return bytes.count < 14 }
        let size = bytes.loadUnaligned(fromByteOffset: 14, as: UInt32.self).littleEndian
        return [12, 16, 40, 42, 46, 52, 56, 60, 64, 108, 124].contains(size)
    }

    /// Whether the first directory of a TIFF is one of a camera's raw file: its version of DNG, a
    /// colour filter's pattern, or a thumbnail where the image should be.
    var isRawDirectory: Bool {
        let tiff = TIFFBytes(bytes: bytes)
        guard let tiff, let directory = tiff.firstDirectory else { return false }
        var isThumbnail = false
        var hasOthers = false
        for entry in directory {
            switch entry.tag {
            case 0xC612: return true
            case 262 where entry.value == 32_803 || entry.value == 34_892: return true
            case 254: isThumbnail = entry.value & 1 == 1
            case 330: hasOthers = true
            default: break
            }
        }
        return isThumbnail && hasOthers
    }
}

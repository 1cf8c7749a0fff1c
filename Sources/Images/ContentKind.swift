// The closed list of what a file among images can be, as its bytes say, and the words for each kind.

/// The kind of a file by its content: an image format, or what else is found among images.
public enum ContentKind: String, Sendable, Hashable, CaseIterable {
    /// JPEG in any wrapping: `.jpg`, `.jfif`, `.jpe`, and the first image of an `.mpo`. Read whether
    /// baseline or progressive, grey, YCbCr, RGB or CMYK.
    case jpeg = "JPEG"
    /// PNG, animated ones included. Any colour type and depth is read, reduced to 8 bits.
    case png = "PNG"
    /// WebP, lossy or lossless; the first frame of an animation is read.
    case webp = "WebP"
    /// Windows and OS/2 bitmaps, of any header, depth, bit masks and run-length code.
    case bmp = "BMP"
    /// GIF; the first frame on its canvas is read.
    case gif = "GIF"
    /// TIFF, BigTIFF included. Read are grey, RGB, palette, CMYK and YCbCr of up to 16 bits, in strips
    /// or tiles, of the first image.
    case tiff = "TIFF"
    /// HEIC and other HEIF images, as phones write them: grids of tiles, turned and mirrored.
    case heic = "HEIC"
    /// AVIF; its primary image is read.
    case avif = "AVIF"
    /// JPEG XL.
    case jpegXL = "JPEG XL"
    /// JPEG 2000.
    case jpeg2000 = "JPEG 2000"
    /// JPEG XR.
    case jpegXR = "JPEG XR"
    /// Photoshop documents.
    case photoshop = "Photoshop"
    /// Scalable vector graphics.
    case svg = "SVG"
    /// The files of cameras before development: DNG, CR2, CR3, NEF, ARW and others.
    case cameraRaw = "camera raw"
    /// Windows icons and cursors.
    case icon = "icon"
    /// PBM, PGM, PPM, PAM and PFM.
    case netpbm = "Netpbm"
    /// Truevision TGA, which has no signature: known by its name and header.
    case targa = "TGA"
    /// OpenEXR.
    case openEXR = "OpenEXR"
    /// Radiance HDR.
    case radiance = "Radiance HDR"
    /// DirectDraw surfaces.
    case directDraw = "DDS"
    /// QOI.
    case qoi = "QOI"
    /// GIMP documents.
    case gimp = "GIMP"
    /// DICOM, as medical scanners write it.
    case dicom = "DICOM"
    /// FITS, as telescopes write it.
    case fits = "FITS"
    /// A file of an image format that none of the other cases names.
    case otherImage = "other image"
    /// Video of any container.
    case video = "video"
    /// Audio of any container.
    case audio = "audio"
    /// PDF.
    case pdf = "PDF"
    /// PostScript, encapsulated or not.
    case postScript = "PostScript"
    /// A web page.
    case html = "HTML"
    /// XML that is neither a web page nor SVG.
    case xml = "XML"
    /// JSON.
    case json = "JSON"
    /// A pointer that Git LFS or Xet leaves where the file itself was not fetched.
    case lfsPointer = "Git LFS pointer"
    /// Any other text.
    case text = "text"
    /// zip, tar, gzip, 7z and other archives and compressed files.
    case archive = "archive"
    /// NumPy arrays, HDF5, SQLite and other files of data.
    case data = "data"
    /// What macOS keeps beside a file on other file systems (`._name`).
    case appleDouble = "AppleDouble"
    /// Documents of Windows programs, `Thumbs.db` included.
    case compoundDocument = "compound document"
    /// A file without a byte.
    case empty = "empty file"
    /// Bytes of no known kind.
    case unknown = "unknown"

    /// The kind in words: `JPEG`, `camera raw`, `Git LFS pointer`.
    public var name: String { rawValue }

    /// Whether graft decodes images of this kind.
    public var isReadable: Bool {
        switch self {
        case .jpeg, .png, .webp, .bmp, .gif, .tiff, .heic, .avif: true
        default: false
        }
    }

    /// The image formats that graft reads, in words: `JPEG, PNG, … or AVIF`.
    public static var readableList: String {
        let names = allCases.filter(\.isReadable).map(\.name)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }

    /// Whether files of this kind are images, readable or not.
    public var isImage: Bool {
        switch self {
        case .jpeg, .png, .webp, .bmp, .gif, .tiff, .heic, .avif, .jpegXL, .jpeg2000, .jpegXR,
            .photoshop, .svg, .cameraRaw, .icon, .netpbm, .targa, .openEXR, .radiance,
            .directDraw, .qoi, .gimp, .dicom, .fits, .otherImage:
            true
        case .video, .audio, .pdf, .postScript, .html, .xml, .json, .lfsPointer, .text, .archive,
            .data, .appleDouble, .compoundDocument, .empty, .unknown:
            false
        }
    }

    /// The extensions that files of this kind usually have, without the dot, in lower case.
    public var extensions: [String] {
        switch self {
        case .jpeg: ["jpg", "jpeg", "jfif", "jpe", "jif", "jfi", "pjpeg", "pjp", "mpo"]
        case .png: ["png", "apng"]
        case .webp: ["webp"]
        case .bmp: ["bmp", "dib"]
        case .gif: ["gif"]
        case .tiff: ["tif", "tiff"]
        case .heic: ["heic", "heif", "hif", "heics", "heifs"]
        case .avif: ["avif", "avifs"]
        case .jpegXL: ["jxl"]
        case .jpeg2000: ["jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "jpm"]
        case .jpegXR: ["jxr", "wdp", "hdp"]
        case .photoshop: ["psd", "psb"]
        case .svg: ["svg", "svgz"]
        case .cameraRaw:
            [
                "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "gpr", "iiq", "kdc",
                "mef", "mos", "mrw", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2",
                "srf", "srw", "x3f",
            ]
        case .icon: ["ico", "cur", "icns"]
        case .netpbm: ["pbm", "pgm", "ppm", "pnm", "pam", "pfm"]
        case .targa: ["tga"]
        case .openEXR: ["exr"]
        case .radiance: ["hdr"]
        case .directDraw: ["dds"]
        case .qoi: ["qoi"]
        case .gimp: ["xcf"]
        case .dicom: ["dcm"]
        case .fits: ["fits", "fit"]
        case .otherImage: ["pcx", "bpg", "flif", "djvu", "wmf", "emf"]
        case .video:
            [
                "mp4", "mov", "m4v", "avi", "mkv", "webm", "mpg", "mpeg", "wmv", "flv", "3gp",
                "ts", "mts",
            ]
        case .audio: ["mp3", "wav", "m4a", "ogg", "flac", "aac"]
        case .pdf: ["pdf"]
        case .postScript: ["ps", "eps", "ai"]
        case .html: ["html", "htm", "xhtml"]
        case .xml: ["xml", "xmp"]
        case .json: ["json", "jsonl", "geojson"]
        case .text: ["txt", "csv", "tsv", "md", "yaml", "yml", "py", "names", "cls", "log", "ini"]
        case .archive: ["zip", "tar", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar"]
        case .data: ["npy", "npz", "h5", "hdf5", "sqlite", "parquet", "pkl", "mat"]
        case .compoundDocument: ["db", "doc", "xls", "ppt"]
        case .lfsPointer, .appleDouble, .empty, .unknown: []
        }
    }

    /// The extensions of image files that graft reads, without the dot, in lower case.
    public static let readableExtensions = allCases.filter(\.isReadable).flatMap(\.extensions)

    /// The extensions of image files, whether graft reads them or not.
    public static let imageExtensions = allCases.filter(\.isImage).flatMap(\.extensions)

    /// Whether `name` has an extension of an image format that graft reads, in any case.
    public static func hasReadableExtension(_ name: String) -> Bool {
        fileExtension(of: name).map(readable.contains) ?? false
    }

    private static let readable = Set(readableExtensions)

    /// The extension of a file name without the dot, in lower case; nil if there is none.
    static func fileExtension(of name: String) -> String? {
        let file =
            name.utf8.lastIndex(of: UInt8(ascii: "/")).map { name[$0...].dropFirst() }
            ?? name[...]
        guard let dot = file.lastIndex(of: "."), dot > file.startIndex else { return nil }
        let ending = file[dot...].dropFirst()
        guard !ending.isEmpty, ending.count <= 12 else { return nil }
        return ending.lowercased()
    }
}

extension ContentKind {
    /// The kind with its article, for errors: `a GIF`, `an empty file`; of unknown bytes, the first.
    func phrase(for bytes: UnsafeRawBufferPointer) -> String {
        switch self {
        case .heic, .avif: "an \(name) image"
        case .svg, .xml: "an \(name) file"
        case .html: "a text file that starts with `<`, perhaps a web page"
        case .lfsPointer: "a Git LFS pointer, which stands for a file that was not fetched"
        case .openEXR, .appleDouble, .archive, .empty, .icon, .otherImage, .audio:
            "an \(name)"
                + (self == .audio || self == .openEXR || self == .appleDouble ? " file" : "")
        case .unknown: "bytes that start with `\(Self.hexadecimal(bytes))`"
        case .jpeg, .png, .webp, .bmp, .gif, .tiff, .pdf: "a \(name)"
        default: "a \(name) file"
        }
    }

    private static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
        let digits = Array("0123456789abcdef")
        return bytes.prefix(4).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }
            .joined(separator: " ")
    }
}

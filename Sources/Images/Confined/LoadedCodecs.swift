// The libraries that are opened at run time, and the Debian packages that they come in.

import CImageCodecs

/// A library that decodes images and is opened when the first of them needs it.
enum LoadedCodec: String, CaseIterable {
    case heif = "libheif"
    case tiff = "libtiff"
    case gif = "giflib"

    init?(_ format: ContentKind) {
        switch format {
        case .heic, .avif: self = .heif
        case .tiff: self = .tiff
        case .gif: self = .gif
        default: return nil
        }
    }

    /// The names under which systems have it, newest first.
    private var files: [String] {
        switch self {
        case .heif: ["libheif.so.1"]
        case .tiff: ["libtiff.so.6", "libtiff.so.5"]
        case .gif: ["libgif.so.7"]
        }
    }

    /// The Debian package of it.
    var package: String {
        switch self {
        case .heif: "libheif1"
        case .tiff: "libtiff6"
        case .gif: "libgif7"
        }
    }

    private func load<Calls>(
        _ empty: Calls,
        _ load: (UnsafeMutablePointer<Calls>, UnsafePointer<CChar>?)
            -> UnsafePointer<CChar>?
    ) -> Calls? {
        for file in files {
            var calls = empty
            if load(&calls, file) == nil { return calls }
        }
        return nil
    }

    private static let heifCalls = heif.load(graft_heif()) {
        graft_heif_load($0, $1)
    }
    // Written once, by addresses that never change; a handler that takes a va_list is not Sendable.
    nonisolated(unsafe) private static let tiffCalls = tiff.load(graft_tiff()) {
        graft_tiff_load($0, $1)
    }
    private static let gifCalls = gif.load(graft_gif()) {
        graft_gif_load($0, $1)
    }

    /// Opens the library; false if it is not installed.
    @discardableResult func open() -> Bool {
        switch self {
        case .heif: Self.heifCalls != nil
        case .tiff: Self.tiffCalls != nil
        case .gif: Self.gifCalls != nil
        }
    }

    static func heif(_ request: DecodeRequest) throws(ImageError) -> graft_heif {
        guard let calls = heifCalls else { throw heif.missing(request) }
        return calls
    }

    static func tiff(_ request: DecodeRequest) throws(ImageError) -> graft_tiff {
        guard let calls = tiffCalls else { throw tiff.missing(request) }
        return calls
    }

    static func gif(_ request: DecodeRequest) throws(ImageError) -> graft_gif {
        guard let calls = gifCalls else { throw gif.missing(request) }
        return calls
    }

    /// The error of an image whose library is not there; `package` names a part of it that is missing.
    func missing(_ request: DecodeRequest, package: String? = nil) -> ImageError {
        .missingLibrary(
            name: request.name, format: request.format.rawValue,
            package: package ?? self.package)
    }

    /// The name and the version, which giflib does not have; nil if the library is not installed.
    var version: String? {
        switch self {
        case .heif:
            return Self.heifCalls.map { calls in
                rawValue + (calls.version?().map { " " + String(cString: $0) } ?? "")
            }
        case .tiff:
            return Self.tiffCalls.map { calls in
                // `LIBTIFF, Version 4.5.0` and lines of copyright.
                let line = calls.version?().flatMap {
                    String(cString: $0).split(separator: "\n").first
                }
                return rawValue + (line?.split(separator: " ").last.map { " " + $0 } ?? "")
            }
        case .gif: return Self.gifCalls.map { _ in rawValue }
        }
    }

    /// Whether libheif has the decoder of a kind of image, which newer systems have in packages of their own.
    static func heifDecodes(_ kind: ContentKind) -> Bool {
        guard let calls = heifCalls else { return false }
        // One that is too old to be asked has its decoders built in.
        guard let ask = calls.have_decoder else { return true }
        return ask(Int32(kind == .avif ? GRAFT_HEIF_AV1 : GRAFT_HEIF_HEVC)) != 0
    }

    /// The Debian package of libheif's decoder of a kind of image.
    static func heifPlugin(_ kind: ContentKind) -> String {
        kind == .avif ? "libheif-plugin-dav1d" : "libheif-plugin-libde265"
    }
}

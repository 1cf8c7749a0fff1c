// The libraries that are opened at run time, and the Debian packages that they come in.

import CImageCodecs

/// A library that decodes images and is opened when the first of them needs it.
enum LoadedCodec: String, CaseIterable {
    case heif = "libheif"
    case tiff = "libtiff"
    case gif = "giflib"

    init?(_ format: ImageFormat) {
        switch format {
        case .heic, .avif: self = .heif
        case .tiff: self = .tiff
        case .gif: self = .gif
        case .jpeg, .png, .webp, .bmp: return nil
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

    /// The versions of those that are installed, as they name themselves.
    static var versions: [String] {
        let heif = heifCalls.flatMap { $0.version?().map { "libheif " + String(cString: $0) } }
        let tiff = tiffCalls.flatMap { calls in
            calls.version?().map { text in
                // `LIBTIFF, Version 4.5.0` and lines of copyright.
                let line = String(cString: text).split(separator: "\n").first ?? ""
                return "libtiff " + (line.split(separator: " ").last ?? "")
            }
        }
        return [heif, tiff, gifCalls == nil ? nil : "giflib"].compactMap { $0 }
    }
}

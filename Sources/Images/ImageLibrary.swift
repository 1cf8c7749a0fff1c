// Which codecs read and write images, and which of those that are opened at run time are installed.

import CPNG
import CTurboJPEG
import CWebP

/// The codecs, as they name themselves.
public enum ImageLibrary {
    /// `libpng 1.6.39, libwebp 1.2.4, TurboJPEG`, the last of which does not tell.
    public static var versions: String {
        let png = Int(png_access_version_number())
        let webp = Int(WebPGetDecoderVersion())
        return "libpng \(png / 10000).\(png / 100 % 100).\(png % 100), "
            + "libwebp \(webp >> 16).\(webp >> 8 & 255).\(webp & 255), TurboJPEG"
    }

    /// A decoder that is opened when the first image of its kind is read.
    public struct Decoder: Sendable, Hashable {
        /// The images that it decodes.
        public let kind: ContentKind
        /// The library and its version; nil if it cannot decode here.
        public let found: String?
        /// The Debian package that is missing; nil if none is.
        public let missingPackage: String?
    }

    /// The decoders that are opened at run time.
    public static var decoders: [Decoder] {
        [ContentKind.heic, .avif, .tiff, .gif].compactMap { kind in
            guard let codec = LoadedCodec(kind) else { return nil }
            guard let version = codec.version else {
                return Decoder(kind: kind, found: nil, missingPackage: codec.package)
            }
            guard codec != .heif || LoadedCodec.heifDecodes(kind) else {
                return Decoder(
                    kind: kind, found: nil, missingPackage: LoadedCodec.heifPlugin(kind))
            }
            return Decoder(kind: kind, found: version, missingPackage: nil)
        }
    }
}

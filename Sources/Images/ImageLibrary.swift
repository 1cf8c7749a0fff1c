// Which codecs read and write pictures.

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
}

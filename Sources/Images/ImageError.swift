// What can be wrong with a picture.

public import GraftTensors

/// A picture that could not be read or written, by the name of its file.
public enum ImageError: Diagnostic, Equatable {
    /// The first bytes are of no format that is read here; `found` says what they look like.
    case unknownFormat(name: String, found: String)
    /// The bytes break the rules of their format.
    case malformed(name: String, format: String, reason: String)
    /// The file ends in the middle of the picture.
    case truncated(name: String, format: String)
    /// A legal file that uses what is not read here.
    case unsupported(name: String, format: String, feature: String)
    /// More pixels than ``ImageLimits`` allow.
    case tooLarge(name: String, width: Int, height: Int, limits: ImageLimits)
    /// A picture that the codec would not write.
    case notWritten(format: String, reason: String)
    /// A preprocessing that cannot be: see the reason.
    case invalidPreprocessing(reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .unknownFormat(let name, let found):
            "`\(name)` is not a picture that graft reads: expected \(ImageFormat.list), found \(found)"
        case .malformed(let name, let format, let reason):
            "`\(name)` is not a sound \(format): \(reason)"
        case .truncated(let name, let format):
            "`\(name)` is a \(format) that ends too early"
        case .unsupported(let name, let format, let feature):
            "`\(name)` is a \(format) with \(feature), which graft does not read"
        case .tooLarge(let name, let width, let height, let limits):
            "`\(name)` is too large: expected at most \(limits.side) pixels a side and "
                + "\(limits.pixels) in all, found \(width) × \(height)"
        case .notWritten(let format, let reason): "cannot write the \(format): \(reason)"
        case .invalidPreprocessing(let reason): "this preprocessing is not possible: \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .unknownFormat, .unsupported:
            "convert it to an 8-bit RGB JPEG or PNG, or move it out of the folder"
        case .malformed, .truncated:
            "fetch or copy it again, or move it out of the folder"
        case .tooLarge: "scale it down first"
        case .notWritten, .invalidPreprocessing: nil
        }
    }
}

/// How large a picture may be, so that a few hostile bytes cannot ask for all memory.
public struct ImageLimits: Sendable, Hashable {
    /// The most pixels along a side.
    public var side: Int
    /// The most pixels in all.
    public var pixels: Int

    /// Limits: 16,384 pixels a side and 100 million in all, unless said otherwise.
    public init(side: Int = 16_384, pixels: Int = 100_000_000) {
        self.side = side
        self.pixels = pixels
    }

    /// Throws unless a picture of this size is within the limits.
    func check(_ width: Int, _ height: Int, name: String, format: ImageFormat)
        throws(ImageError)
    {
        guard width > 0, height > 0 else {
            throw .malformed(
                name: name, format: format.rawValue, reason: "its size is \(width) × \(height)")
        }
        guard width <= side, height <= side, width * height <= pixels else {
            throw .tooLarge(name: name, width: width, height: height, limits: self)
        }
    }
}

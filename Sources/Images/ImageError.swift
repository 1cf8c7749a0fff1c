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
    /// The library that decodes the format, or a part of it, is not installed; `package` is Debian's.
    case missingLibrary(name: String, format: String, package: String)
    /// The process that decodes the format did not answer as it should.
    case parser(name: String, format: String, failure: ParserFailure)
    /// ``GraftSystem/Isolation`` lets no library parse this format, neither here nor in a process.
    case notIsolated(name: String, format: String)
    /// Pixels in memory that are not those of an image of the size that was given.
    case invalidBuffer(reason: String)
    /// An image cannot have this size, or these bytes are not its pixels.
    case invalidSize(width: Int, height: Int, byteCount: Int?)
    /// A picture that the codec would not write.
    case notWritten(format: String, reason: String)
    /// A preprocessing that cannot be: see the reason.
    case invalidPreprocessing(reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .unknownFormat(let name, let found):
            "`\(name)` is not a picture that graft reads: expected \(ContentKind.readableList), found \(found)"
        case .malformed(let name, let format, let reason):
            "`\(name)` is not a sound \(format): \(reason)"
        case .truncated(let name, let format):
            "`\(name)` is a \(format) that ends too early"
        case .unsupported(let name, let format, let feature):
            "`\(name)` is a \(format) with \(feature), which graft does not read"
        case .tooLarge(let name, let width, let height, let limits):
            "`\(name)` is too large: expected at most \(grouped(limits.pixels)) pixels and "
                + "\(grouped(limits.side)) per side, found \(width) × \(height) "
                + "(\(grouped(width.multipliedReportingOverflow(by: height).partialValue)))"
        case .missingLibrary(let name, let format, let package):
            "`\(name)` is \(format.hasPrefix("AV") || format.hasPrefix("HE") ? "an" : "a") "
                + "\(format) image, and `\(package)`, which decodes it, is not installed"
        case .parser(let name, let format, let failure):
            "`\(name)`: decoding the \(format) failed: \(failure.text)"
        case .notIsolated(let name, let format):
            "`\(name)`: \(format) images are decoded in a process of their own, and none is set up"
        case .invalidBuffer(let reason): "these pixels are not an image: \(reason)"
        case .invalidSize(let width, let height, let byteCount):
            if let byteCount, width > 0, height > 0 {
                "expected \(width) × \(height) pixels of 3 bytes, found \(byteCount) bytes"
            } else {
                "expected a width and a height of 1 or more, and pixels that fit into memory; found "
                    + "\(width) × \(height)"
            }
        case .notWritten(let format, let reason): "cannot write the \(format): \(reason)"
        case .invalidPreprocessing(let reason): "this preprocessing is not possible: \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .missingLibrary(_, _, let package): "install it: `apt-get install \(package)`"
        case .parser(_, _, .notStarted):
            "run `graft doctor`, which shows what processes may do here"
        case .parser: "convert it to JPEG or PNG with another program, or move it out of the folder"
        case .notIsolated:
            "set `Isolation.current` to `.process(program:)`, or to `.inProcess` for files that you trust"
        case .unknownFormat, .unsupported:
            "convert it to an 8-bit RGB JPEG or PNG, or move it out of the folder"
        case .malformed, .truncated:
            "fetch or copy it again, or move it out of the folder"
        case .tooLarge: "scale it down first"
        case .notWritten, .invalidPreprocessing, .invalidBuffer, .invalidSize: nil
        }
    }
}

/// Why the process that decodes an image gave none.
public enum ParserFailure: Sendable, Equatable {
    /// It could not be started: the program, and the reason.
    case notStarted(program: String, reason: String)
    /// It ended with this signal, as a crash does.
    case crashed(signal: Int32)
    /// It ended with this status.
    case exited(status: Int32)
    /// It took longer than this and was stopped.
    case timedOut(seconds: Int)
    /// It answered what no decoder answers.
    case invalidReply

    var text: String {
        switch self {
        case .notStarted(let program, let reason): "cannot run `\(program)`: \(reason)"
        case .crashed(let signal):
            "the parser crashed (signal \(signal)) or ran out of the memory that it may use"
        case .exited(let status): "the parser stopped with status \(status)"
        case .timedOut(let seconds): "the parser did not finish within \(seconds) seconds"
        case .invalidReply: "the sandboxed parser sent an invalid reply"
        }
    }
}

/// How large a picture may be, so that a few hostile bytes cannot ask for all memory.
///
/// Where an image is decoded for a smaller size (`covering` of ``Image/decode(path:orient:covering:limits:)``),
/// JPEG, PNG and TIFF images are reduced as they are decoded, and `pixels` is the limit of the
/// reduced image.
public struct ImageLimits: Sendable, Hashable {
    /// The most pixels along a side.
    public var side: Int
    /// The most pixels in all.
    public var pixels: Int
    /// The most seconds that a parser process may take for an image, and one more per 16 MB.
    public var seconds: Int

    /// The pixels up to which PNG and TIFF images are decoded whole, however small they are needed.
    static let exactPixels = 25_000_000

    /// Limits: 1 million pixels per side, 100 million in all and 60 seconds, unless given otherwise.
    public init(side: Int = 1_000_000, pixels: Int = 100_000_000, seconds: Int = 60) {
        self.side = side
        self.pixels = pixels
        self.seconds = seconds
    }

    /// Whether an image of this size is within the limits once it is reduced by `factor`.
    func allow(width: Int, height: Int, factor: Int = 1) -> Bool {
        // A larger side would have products overflow; no format here has one.
        guard width <= min(side, 1 << 24), height <= min(side, 1 << 24) else { return false }
        return ((width + factor - 1) / factor) * ((height + factor - 1) / factor) <= pixels
    }

    /// Throws unless a picture of this size is within the limits once it is reduced by `factor`.
    func check(_ width: Int, _ height: Int, name: String, format: ContentKind, factor: Int = 1)
        throws(ImageError)
    {
        guard width > 0, height > 0 else {
            throw .malformed(
                name: name, format: format.rawValue, reason: "its size is \(width) × \(height)")
        }
        guard allow(width: width, height: height, factor: factor) else {
            throw .tooLarge(name: name, width: width, height: height, limits: self)
        }
    }
}

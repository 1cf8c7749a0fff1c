// What the parent and the decoding process say to each other, as bytes.

/// What a message of the decoding process is.
enum Reply: UInt8 {
    /// What holds the process, one byte; sent once, before any image.
    case held = 0x48
    /// It needs bytes of the file: offset and number. The parent sends those bytes and no more.
    case need = 0x4E
    /// Width, height and extent; the pixels follow.
    case image = 0x49
    /// Why there is no image.
    case refusal = 0x52
}

extension [UInt8] {
    /// Appends a number, its lowest byte first.
    mutating func append(little value: UInt64) {
        for shift in 0..<8 { append(UInt8(truncatingIfNeeded: value >> (shift * 8))) }
    }

    /// The number of eight bytes at an offset that has them.
    func little(at offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(self[offset + $1]) << ($1 * 8) }
    }
}

extension Image {
    /// The bytes of a size.
    static let encodedSizeByteCount = 48

    /// Width, height, and the edges of the extent.
    var encodedSize: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: UInt64(width))
        bytes.append(little: UInt64(height))
        for edge in [extent.left, extent.top, extent.right, extent.bottom] {
            bytes.append(little: edge.bitPattern)
        }
        return bytes
    }
}

extension Box {
    /// The box whose edges are the last four numbers of a size.
    init(encodedSize bytes: [UInt8]) {
        let edges = (2..<6).map { Double(bitPattern: bytes.little(at: $0 * 8)) }
        self.init(left: edges[0], top: edges[1], right: edges[2], bottom: edges[3])
    }
}

extension DecodeRequest {
    /// The bytes of a request.
    static let encodedByteCount = 48

    /// The request, and the number of bytes of the file, without the name, which the parent knows.
    func encoded(byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = [
            UInt8(ContentKind.allCases.firstIndex(of: format) ?? 0), orient ? 1 : 0, 0, 0, 0, 0, 0,
            0,
        ]
        for number in [covering ?? 0, limits.side, limits.pixels, limits.seconds, byteCount] {
            bytes.append(little: UInt64(clamping: number))
        }
        return bytes
    }

    static func decoded(_ bytes: [UInt8]) -> (request: DecodeRequest, byteCount: Int)? {
        guard bytes.count == encodedByteCount, Int(bytes[0]) < ContentKind.allCases.count else {
            return nil
        }
        let numbers = (0..<5).map { Int(clamping: bytes.little(at: 8 + $0 * 8)) }
        let request = DecodeRequest(
            format: ContentKind.allCases[Int(bytes[0])], name: "", orient: bytes[1] == 1,
            covering: numbers[0] == 0 ? nil : numbers[0],
            limits: ImageLimits(side: numbers[1], pixels: numbers[2], seconds: numbers[3]))
        return (request, numbers[4])
    }
}

/// Why the decoding process gives no image: an ``ImageError`` without the name of the file.
struct Refusal: Equatable {
    private enum Cause: UInt8 { case malformed, truncated, unsupported, tooLarge, missing }

    private let cause: Cause
    private let text: String

    init(_ error: ImageError) {
        switch error {
        case .truncated: (cause, text) = (.truncated, "")
        case .unsupported(_, _, let feature): (cause, text) = (.unsupported, feature)
        case .tooLarge(_, let width, let height, _):
            (cause, text) = (.tooLarge, "\(width) \(height)")
        case .missingLibrary(_, _, let package): (cause, text) = (.missing, package)
        case .malformed(_, _, let reason): (cause, text) = (.malformed, reason)
        default: (cause, text) = (.malformed, error.message)
        }
    }

    init?(_ bytes: [UInt8]) {
        guard let first = bytes.first, let cause = Cause(rawValue: first) else { return nil }
        self.cause = cause
        // A process that a file has taken over is not to write to a terminal.
        text = String(
            String.UnicodeScalarView(
                String(decoding: bytes.dropFirst(), as: UTF8.self).unicodeScalars.filter {
                    !$0.properties.isDefaultIgnorableCodePoint
                        && $0.properties.generalCategory != .control
                }))
    }

    var encoded: [UInt8] { [cause.rawValue] + text.utf8.prefix(600) }

    /// The error of the image that was asked for.
    func error(_ request: DecodeRequest) -> ImageError {
        switch cause {
        case .malformed: return request.malformed(text)
        case .truncated: return request.truncated
        case .unsupported: return request.unsupported(text)
        case .missing:
            return .missingLibrary(
                name: request.name, format: request.format.rawValue, package: text)
        case .tooLarge:
            let size = text.split(separator: " ").compactMap { Int($0) }
            guard size.count == 2 else {
                return .parser(
                    name: request.name, format: request.format.rawValue, failure: .invalidReply)
            }
            return .tooLarge(
                name: request.name, width: size[0], height: size[1], limits: request.limits)
        }
    }
}

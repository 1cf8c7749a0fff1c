// Images from pixels that other programs hold: RGB, BGR, with alpha, grey, and rows with padding.

/// How the samples of a pixel lie in memory, eight bits each.
public enum PixelFormat: String, Sendable, CaseIterable {
    /// Red, green, blue.
    case rgb
    /// Blue, green, red, as OpenCV has it.
    case bgr
    /// Red, green, blue, alpha.
    case rgba
    /// Blue, green, red, alpha.
    case bgra
    /// Alpha, red, green, blue.
    case argb
    /// Alpha, blue, green, red.
    case abgr
    /// One sample for all three colours.
    case grey
    /// Grey and alpha.
    case greyAlpha

    /// The bytes of a pixel.
    public var byteCount: Int {
        switch self {
        case .rgb, .bgr: 3
        case .rgba, .bgra, .argb, .abgr: 4
        case .grey: 1
        case .greyAlpha: 2
        }
    }

    /// Where red, green and blue are among the bytes of a pixel.
    fileprivate var places: (red: Int, green: Int, blue: Int) {
        switch self {
        case .rgb, .rgba: (0, 1, 2)
        case .bgr, .bgra: (2, 1, 0)
        case .argb: (1, 2, 3)
        case .abgr: (3, 2, 1)
        case .grey, .greyAlpha: (0, 0, 0)
        }
    }
}

extension Image {
    /// Copies pixels from memory; alpha is dropped, as it is of files.
    ///
    /// ```swift
    /// // A frame of a camera whose rows are padded to 64 bytes.
    /// let image = try Image(copying: frame, format: .bgra, width: 1_280, height: 720, rowStride: 5_120)
    /// ```
    ///
    /// - Parameters:
    ///   - bytes: The pixels, the top row first. The last row need not be padded.
    ///   - rowStride: The bytes from the start of a row to that of the next; without it, rows follow
    ///     each other.
    /// - Throws: ``ImageError/invalidBuffer(reason:)`` if the size is not positive, rows overlap, or
    ///   `bytes` has fewer bytes than the pixels need.
    public init(
        copying bytes: UnsafeRawBufferPointer, format: PixelFormat, width: Int, height: Int,
        rowStride: Int? = nil
    ) throws(ImageError) {
        func reject(_ reason: String) -> ImageError { .invalidBuffer(reason: reason) }
        let limit = 1 << 24
        guard (1...limit).contains(width), (1...limit).contains(height) else {
            throw reject(
                "expected a width and a height of 1 to \(limit), found \(width) × \(height)")
        }
        let rowBytes = width * format.byteCount
        let stride = rowStride ?? rowBytes
        guard stride >= rowBytes else {
            throw reject("expected rows of at least \(rowBytes) bytes, found a stride of \(stride)")
        }
        let (rows, overflow) = stride.multipliedReportingOverflow(by: height - 1)
        guard !overflow, rows <= bytes.count, bytes.count - rows >= rowBytes else {
            throw reject(
                "expected \(height) rows of \(stride) bytes, found \(bytes.count) bytes in all")
        }
        let (red, green, blue) = format.places
        let step = format.byteCount
        let count = width * height * 3
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            var at = 0
            for y in 0..<height {
                var from = y * stride
                for _ in 0..<width {
                    target[at] = bytes[from + red]
                    target[at + 1] = bytes[from + green]
                    target[at + 2] = bytes[from + blue]
                    at += 3
                    from += step
                }
            }
            initialized = count
        }
        self.init(sized: width, height, pixels)
    }

    /// Copies pixels from an array; see ``init(copying:format:width:height:rowStride:)-(UnsafeRawBufferPointer,_,_,_,_)``.
    public init(
        copying bytes: [UInt8], format: PixelFormat, width: Int, height: Int, rowStride: Int? = nil
    ) throws(ImageError) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(ImageError) in
                try Image(
                    copying: bytes, format: format, width: width, height: height,
                    rowStride: rowStride)
            }
        }
        self = try result.get()
    }
}

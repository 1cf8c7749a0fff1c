// What is asked of a decoder that runs in a process of its own, and what it answers.

/// How an image is to be decoded.
struct DecodeRequest: Equatable {
    var format: ContentKind
    /// What errors call the image.
    var name: String
    /// Whether an orientation in the file is applied.
    var orient: Bool
    /// The length of the shorter side that is needed.
    var covering: Int?
    var limits: ImageLimits

    /// Throws unless an image of this size is within the limits once it is reduced by `factor`.
    func check(width: Int, height: Int, factor: Int = 1) throws(ImageError) {
        guard width > 0, height > 0 else {
            throw malformed("its size is \(width) × \(height)")
        }
        guard limits.allow(width: width, height: height, factor: factor) else {
            throw .tooLarge(name: name, width: width, height: height, limits: limits)
        }
    }

    func malformed(_ reason: String) -> ImageError {
        .malformed(name: name, format: format.rawValue, reason: reason)
    }

    func unsupported(_ feature: String) -> ImageError {
        .unsupported(name: name, format: format.rawValue, feature: feature)
    }

    var truncated: ImageError { .truncated(name: name, format: format.rawValue) }
}

extension DecodeRequest {
    /// Decodes in this process, with the library that reads the format.
    func decode(_ source: any ByteSource) throws(ImageError) -> Image {
        switch format {
        case .heic, .avif: try HEIFDecoder.decode(source, self)
        case .tiff: try TIFFDecoder.decode(source, self)
        case .gif: try GIFDecoder.decode(source, self)
        default: throw unsupported("a decoder that needs no process")
        }
    }
}

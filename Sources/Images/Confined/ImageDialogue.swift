// The parent's side of decoding one image: every message of the process is checked as it comes.

/// The messages about one image, over any connection to the process.
struct ImageDialogue {
    /// The result of a dialogue.
    enum Outcome: Equatable {
        case image(Image)
        /// The process says why there is no image.
        case refused(ImageError)
        /// The process said what no decoder says.
        case invalid
        /// The process is gone or did not answer in time.
        case silent
    }

    let request: DecodeRequest
    let bytes: UnsafeRawBufferPointer
    /// Sends bytes; false if the process did not take them.
    let send: (UnsafeRawBufferPointer) -> Bool
    /// Fills a buffer with what the process sends; false if it did not send that much.
    let fill: (UnsafeMutableRawBufferPointer) -> Bool

    /// Asks for the image, hands over the bytes that the process needs, and takes its answer.
    func run() -> Outcome {
        guard request.encoded(byteCount: bytes.count).withUnsafeBytes(send) else { return .silent }
        while let (kind, payload) = Self.message(fill) {
            switch kind {
            case .need:
                guard payload.count == 16, let offset = Int(exactly: payload.little(at: 0)),
                    let count = Int(exactly: payload.little(at: 8)), offset <= bytes.count,
                    count <= bytes.count - offset
                else { return .invalid }
                let piece = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
                guard send(piece) else { return .silent }
            case .image: return image(payload)
            case .refusal: return Refusal(payload).map { .refused($0.error(request)) } ?? .invalid
            case .held: return .invalid
            }
        }
        return .silent
    }

    private func image(_ payload: [UInt8]) -> Outcome {
        guard payload.count == Image.encodedSizeByteCount,
            let width = Int(exactly: payload.little(at: 0)),
            let height = Int(exactly: payload.little(at: 8)), width > 0, height > 0,
            request.limits.allow(width: width, height: height)
        else { return .invalid }
        let count = width * height * 3
        var isFilled = false
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            isFilled = fill(UnsafeMutableRawBufferPointer(target))
            initialized = isFilled ? count : 0
        }
        guard isFilled else { return .silent }
        var image = Image(sized: width, height, pixels)
        let extent = Box(encodedSize: payload)
        guard image.covers(extent) else { return .invalid }
        image.extent = extent
        return .image(image)
    }

    /// A message; nil if none came, or something that is none.
    static func message(_ fill: (UnsafeMutableRawBufferPointer) -> Bool) -> (Reply, [UInt8])? {
        var head: [UInt8] = [0, 0, 0]
        guard head.withUnsafeMutableBytes(fill), let kind = Reply(rawValue: head[0]) else {
            return nil
        }
        var payload = [UInt8](repeating: 0, count: Int(head[1]) | Int(head[2]) << 8)
        guard payload.withUnsafeMutableBytes(fill) else { return nil }
        return (kind, payload)
    }
}

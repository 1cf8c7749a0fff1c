// Pixels to JPEG, for pages that show many images.

import CTurboJPEG

extension Image {
    /// The image as a baseline JPEG with 4:2:0 chroma.
    ///
    /// - Parameter quality: 1 to 100; values outside are clamped.
    /// - Throws: ``ImageError/notWritten(format:reason:)``, for sides above 65,500 for example.
    package func jpeg(quality: Int = 85) throws(ImageError) -> [UInt8] {
        func failure(_ handle: tjhandle?) -> ImageError {
            .notWritten(format: "JPEG", reason: String(cString: tjGetErrorStr2(handle)))
        }
        guard let handle = tjInitCompress() else { throw failure(nil) }
        defer { tjDestroy(handle) }
        let subsampling = Int32(TJSAMP_420.rawValue)
        let bound = tjBufSize(Int32(clamping: width), Int32(clamping: height), subsampling)
        guard width <= 65_500, height <= 65_500, bound != .max else {
            throw .notWritten(
                format: "JPEG", reason: "its size is \(width) × \(height), at most 65500 a side")
        }
        var status: Int32 = -1
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(bound)) { target, initialized in
            var start = target.baseAddress
            var count = bound
            status = pixels.withUnsafeBufferPointer { source in
                tjCompress2(
                    handle, source.baseAddress, Int32(width), 0, Int32(height),
                    Int32(TJPF_RGB.rawValue), &start, &count, subsampling,
                    Int32(min(max(quality, 1), 100)), TJFLAG_NOREALLOC)
            }
            initialized = status == 0 ? Int(count) : 0
        }
        guard status == 0 else { throw failure(handle) }
        return bytes
    }
}

// Pixels to a PNG file, for drawings.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Image {
    /// The picture as the bytes of a PNG file.
    public func png() throws(ImageError) -> [UInt8] { try PNGCodec.encode(self) }

    /// Writes the picture as a PNG file; what was there before stays until all is written.
    public func writePNG(to path: String) throws {
        let bytes = try png()
        let partial = path + ".partial"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError("create", partial) }
        do {
            defer { close(descriptor) }
            try bytes.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let slice = UnsafeRawBufferPointer(rebasing: rest)
                    let written = write(descriptor, slice.baseAddress, slice.count)
                    if written < 0, errno == EINTR { continue }
                    guard written > 0 else { throw FileError("write", partial) }
                    rest = rest.dropFirst(written)
                }
            }
        } catch {
            unlink(partial)
            throw error
        }
        guard rename(partial, path) == 0 else { throw FileError("rename", path) }
    }
}

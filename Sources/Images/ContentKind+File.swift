// Sniffing a file on disk without opening what is not one.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension ContentKind {
    /// The kind of the file at `path`, from its first bytes.
    ///
    /// - Throws: `FileError` if it cannot be read. Pipes and devices are ``unknown`` and not read.
    public static func of(path: String) throws -> ContentKind {
        let file = PathBytes.withCString(path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard file >= 0 else { throw FileError("open", path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileError("open", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .unknown }
        return try withUnsafeTemporaryAllocation(byteCount: sniffedByteCount, alignment: 8) {
            var filled = 0
            while filled < $0.count {
                let count = read(file, $0.baseAddress?.advanced(by: filled), $0.count - filled)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw FileError("read", path) }
                if count == 0 { break }
                filled += count
            }
            let head = UnsafeRawBufferPointer(rebasing: $0.prefix(filled))
            return ContentKind(sniffing: head, name: path)
        }
    }

    /// The kind of the file at `path`; ``unknown`` if it cannot be read.
    public static func orUnknown(_ path: String) -> ContentKind {
        (try? of(path: path)) ?? .unknown
    }
}

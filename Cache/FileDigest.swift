// The digests of whole files, each by the one algorithm that is asked for.

import Crypto
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum FileDigest {
    /// The SHA-256 of a file, in hex.
    static func sha256(_ path: String, _ read: (Int) -> Void = { _ in }) throws(FileError) -> String
    {
        var hash = SHA256()
        try forEachChunk(of: path) {
            hash.update(bufferPointer: $0)
            read($0.count)
        }
        return hex(hash.finalize())
    }

    /// What git calls a file: the SHA-1 of `blob <size>`, a zero and the bytes.
    static func gitBlob(_ path: String, _ read: (Int) -> Void) throws(FileError) -> String {
        guard let size = Files.size(of: path) else { throw FileError("read", path) }
        var hash = Insecure.SHA1()
        hash.update(data: Array("blob \(size)\0".utf8))
        try forEachChunk(of: path) {
            hash.update(bufferPointer: $0)
            read($0.count)
        }
        return hex(hash.finalize())
    }

    /// The SHA-256 that a file of features carries, and that of its numbers; nil for another file.
    ///
    /// Training's `FeatureCache` writes them: `GRAFTF1\n`, the count, the digest, the numbers.
    static func features(
        _ path: String, _ read: (Int) -> Void
    ) throws(FileError) -> (expected: String, found: String)? {
        var header: [UInt8] = []
        var hash = SHA256()
        try forEachChunk(of: path) { chunk in
            let missing = min(chunk.count, 48 - header.count)
            header += chunk[..<missing]
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: chunk[missing...]))
            read(chunk.count)
        }
        guard header.count == 48, header.starts(with: "GRAFTF1\n".utf8) else { return nil }
        return (hex(header[16...]), hex(hash.finalize()))
    }

    private static func forEachChunk(
        of path: String, _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(FileError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError("open", path) }
        defer { close(file) }
        posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = Glibc.read(file, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError("read", path) }
            guard count > 0 else { return }
            body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}

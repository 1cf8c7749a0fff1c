// The digests of whole files, each by the one algorithm that is asked for.

import Crypto
import GraftSystem
import GraftTensors

enum FileDigest {
    /// The SHA-256 of a file, in hex.
    static func sha256(_ path: String, _ read: (Int) -> Void = { _ in }) throws -> String {
        var hash = SHA256()
        try readChunks(of: path) {
            hash.update(bufferPointer: $0)
            read($0.count)
        }
        return Hex.text(hash.finalize())
    }

    /// What git calls a file: the SHA-1 of `blob <size>`, a zero and the bytes.
    static func gitBlob(_ path: String, _ read: (Int) -> Void) throws -> String {
        guard let size = Files.size(of: path) else { throw FileError(.read, at: path, .noSuchFile) }
        var hash = Insecure.SHA1()
        hash.update(data: Array("blob \(size)\0".utf8))
        try readChunks(of: path) {
            hash.update(bufferPointer: $0)
            read($0.count)
        }
        return Hex.text(hash.finalize())
    }

    /// A digest of the digests that the records of a file of features carry, and of those of their
    /// numbers as they are; nil for another file. README.md draws the file.
    static func features(
        _ path: String, _ read: (Int) -> Void
    ) throws -> (expected: String, found: String)? {
        try Storage(mapping: path).withBytes { bytes in
            guard bytes.count >= 4096, bytes.starts(with: "GRAFTF2\n".utf8),
                let size = Int(
                    exactly: UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))),
                size <= bytes.count
            else { return nil }
            let (head, step) = (64, 64 + (size + 63) / 64 * 64)
            var (expected, found) = (SHA256(), SHA256())
            // What a killed writer left of a record is none.
            for record in 0..<((bytes.count - 4096) / step) {
                let at = 4096 + record * step
                expected.update(data: bytes[(at + 48)..<(at + head)])
                var hash = SHA256()
                hash.update(data: bytes[(at + head)..<(at + head + size)])
                found.update(data: Array(hash.finalize().prefix(16)))
                read(step)
            }
            return (Hex.text(expected.finalize()), Hex.text(found.finalize()))
        }
    }
}

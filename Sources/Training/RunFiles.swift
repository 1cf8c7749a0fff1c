// Small files of a run: written whole, then renamed to their place.

import Crypto
import FoundationEssentials
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Writing and hashing for this module.
enum RunFiles {
    /// Makes a folder and those above it.
    static func makeFolder(_ path: String) throws(FileError) {
        guard !path.isEmpty, mkdir(path, 0o777) != 0 else { return }
        switch errno {
        case EEXIST:
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                throw FileError("make folder", path, code: ENOTDIR)
            }
        case ENOENT:
            guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
                throw FileError("make folder", path, code: ENOENT)
            }
            try makeFolder(String(path[..<slash]))
            guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
                throw FileError("make folder", path)
            }
        default: throw FileError("make folder", path)
        }
    }

    /// Writes a file next to its place and renames it there: readers see all of it or none.
    static func write(_ parts: [UnsafeRawBufferPointer], to path: String) throws(FileError) {
        let temporary = "\(path).\(getpid()).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError("write", temporary) }
        var failure: Int32 = 0
        for part in parts where failure == 0 { failure = put(part, descriptor) }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure == 0, rename(temporary, path) != 0 { failure = errno }
        guard failure == 0 else {
            unlink(temporary)
            throw FileError("write", path, code: failure)
        }
    }

    /// Adds bytes at the end of a file that others read while it grows.
    static func append(_ bytes: UnsafeRawBufferPointer, to path: String) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError("write", path) }
        var failure = put(bytes, descriptor)
        if close(descriptor) != 0, failure == 0 { failure = errno }
        guard failure == 0 else { throw FileError("write", path, code: failure) }
    }

    /// Writes all of them; 0, or why not.
    private static func put(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) -> Int32 {
        var rest = bytes
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if written > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }

    /// Whether something is at a path.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The text of a file; nil if it cannot be read.
    static func text(_ path: String) -> String? {
        (try? Storage(reading: path))?.withBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a text.
    static func write(_ text: String, to path: String) throws(FileError) {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(FileError) in try write([bytes], to: path) }
        }
        try result.get()
    }

    /// A value as JSON whose bytes depend on the value alone.
    static func json(_ value: some Encodable, pretty: Bool = false) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty
            ? [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
            : [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch EncodingError.invalidValue(let value, let context) {
            throw TrainingError.unwritable(
                "\(value)", at: context.codingPath.map(\.stringValue).joined(separator: "."))
        }
    }

    /// The SHA-256 of some bytes, in hexadecimal.
    static func digest(_ bytes: some Sequence<UInt8>) -> String {
        hexadecimal(SHA256.hash(data: Array(bytes)))
    }

    /// The SHA-256 of bytes in place.
    static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        return Array(hash.finalize())
    }

    /// Bytes as hexadecimal digits.
    static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }
}

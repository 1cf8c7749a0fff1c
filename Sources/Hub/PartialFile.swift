// Where the bytes of a file are until they are proven: in a file, or in memory while they are few.

import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that is open as long as somebody reads or writes it.
final class OpenFile: Sendable {
    let descriptor: Int32

    init(_ path: String, create: Bool) throws(FileError) {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_TRUNC : 0)
        descriptor = open(path, flags, 0o666)
        guard descriptor >= 0 else { throw FileError("open", path) }
    }

    deinit { close(descriptor) }

    /// Writes all of `bytes`; `path` is what errors name.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ path: String) throws(FileError) {
        var rest = bytes
        var offset = offset
        while !rest.isEmpty {
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FileError("write", path) }
            offset += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

/// The bytes of a small file, whose size is known.
final class HeldFile: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ count: Int) { bytes = .allocate(byteCount: max(count, 1), alignment: 16) }
    deinit { bytes.deallocate() }

    /// Takes bytes that arrived; those beyond the size are none of the file's.
    func store(_ new: UnsafeRawBufferPointer, at offset: Int) {
        guard offset >= 0, offset < bytes.count else { return }
        let count = min(new.count, bytes.count - offset)
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: new[..<count]))
    }

    /// The first bytes.
    func first(_ count: Int, of whole: Int) -> [UInt8] {
        Array(bytes[..<min(count, whole, bytes.count)])
    }

    /// Proves the `count` bytes and writes them to a new file, which stays only if all went well.
    func write(
        _ count: Int, digest: GraftCache.Digest?, to path: String
    ) throws -> ContentSums {
        let whole = UnsafeRawBufferPointer(rebasing: bytes[..<min(count, bytes.count)])
        var hasher = ContentHasher(for: digest, byteCount: count)
        hasher.update(whole)
        let sums = hasher.finalize()
        if let digest, !digest.matches(sums) {
            throw Mismatch(expected: digest.description, found: digest.found(sums))
        }
        let file = try OpenFile(path, create: true)
        do {
            try file.write(whole, at: 0, path)
        } catch {
            unlink(path)
            throw error
        }
        return sums
    }
}

/// `Content-Range: bytes 5-9/10`.
struct ContentRange {
    let first: Int
    let total: Int?

    init(_ text: String, _ shown: String) throws {
        let parts = text.split { " -/".contains($0) }
        guard parts.count == 4, parts[0] == "bytes", let first = ByteCount.parsed(parts[1]),
            let last = ByteCount.parsed(parts[2]), first <= last,
            parts[3] == "*" || ByteCount.parsed(parts[3]).map({ last < $0 }) ?? false
        else {
            throw TransientError(
                reason: HubError("`\(shown)` answered with the range `\(text)`"))
        }
        self.first = first
        total = ByteCount.parsed(parts[3])
    }
}

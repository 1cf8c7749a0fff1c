// Where the bytes of a file are until they are proven: in a file, or in memory while they are few.

import GraftCache
import GraftSystem
import GraftTensors

/// A file that is open as long as somebody reads or writes it.
final class OpenFile: Sendable {
    let file: FileDescriptor

    init(_ file: consuming FileDescriptor) { self.file = file }

    /// Opens a partial file, a new one where it `isNew`.
    convenience init(partial path: String, isNew: Bool) throws(FileError) {
        self.init(
            try FileDescriptor(
                opening: path, for: .updating, isNew ? [.create, .truncate, .noLink] : .noLink))
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
        let partial = try OpenFile(partial: path, isNew: true)
        do {
            try partial.file.write(whole, at: 0)
        } catch {
            FileSystem.discard(path)
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
            throw TransientError(reason: .brokenRange(url: shown, text))
        }
        self.first = first
        total = ByteCount.parsed(parts[3])
    }
}

// A file that is handed out piece by piece, whatever its size.

import FlyingSocks
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that stays what it was when it was opened, even if it is replaced or removed meanwhile.
final class OpenFile: Sendable {
    private let descriptor: Int32
    /// What it was asked for by.
    let name: String
    /// Its size.
    let byteCount: Int

    /// Opens a regular file; nil where there is none.
    init?(_ path: String, named name: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        self.descriptor = descriptor
        self.name = name
        byteCount = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// At most `count` bytes from `offset`; none where the file ends or cannot be read.
    func read(at offset: Int, count: Int) -> Data {
        var data = Data(count: count)
        let got = data.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, count, off_t(offset))
        }
        return data.prefix(max(got, 0))
    }
}

/// A part of a file as the server takes it.
struct FileBody: AsyncBufferedSequence {
    typealias Element = UInt8
    let file: OpenFile
    let range: Range<Int>
    /// How much is read at once.
    static let pieceSize = 256 << 10

    func makeAsyncIterator() -> Iterator {
        Iterator(file: file, offset: range.lowerBound, end: range.upperBound)
    }

    struct Iterator: AsyncBufferedIteratorProtocol {
        let file: OpenFile
        var offset: Int
        let end: Int

        /// A file that ends early closes the connection: the client sees that bytes are missing.
        struct EndedEarly: Error {}

        mutating func next() async throws -> UInt8? { try await nextBuffer(suggested: 1)?.first }

        mutating func nextBuffer(suggested count: Int) async throws -> Data? {
            guard offset < end else { return nil }
            let data = file.read(at: offset, count: Swift.min(count, end - offset))
            guard !data.isEmpty else { throw EndedEarly() }
            offset += data.count
            return data
        }
    }
}

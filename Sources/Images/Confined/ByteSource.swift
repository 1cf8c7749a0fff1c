// The bytes of an image file as a decoder asks for them: from memory, or from the process that has the file.

/// Bytes that can be read from any offset.
protocol ByteSource: AnyObject {
    /// The number of bytes.
    var count: Int { get }
    /// Fills `target` with the bytes from `offset` on; false if that many are not there.
    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool
}

extension ByteSource {
    /// All bytes.
    func all() -> [UInt8]? {
        var isRead = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            isRead = read(at: 0, into: UnsafeMutableRawBufferPointer(target))
            initialized = isRead ? count : 0
        }
        return isRead ? bytes : nil
    }
}

/// Bytes in memory, which must outlive this.
final class MemoryBytes: ByteSource {
    private let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var count: Int { bytes.count }

    func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
        guard offset >= 0, offset <= count, target.count <= count - offset else { return false }
        target.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + target.count)]))
        return true
    }
}

/// A place in a source, for libraries that read as from a file; kept blocks make small reads cheap.
final class ByteReader {
    private static let blockSize = 1 << 18
    /// The blocks kept: enough for directories at one end and pixels at the other.
    private static let limit = 12

    let source: any ByteSource
    private(set) var position = 0
    private var blocks: [(index: Int, bytes: [UInt8])] = []

    init(_ source: any ByteSource) { self.source = source }

    /// Moves to an offset, which may be behind the end.
    func seek(_ offset: Int) { position = max(0, offset) }

    /// Reads at most `target.count` bytes; the number read, or nil if the source failed.
    func read(_ target: UnsafeMutableRawBufferPointer) -> Int? {
        let count = min(target.count, max(0, source.count - position))
        var done = 0
        while done < count {
            let index = position / Self.blockSize
            guard let place = place(of: index) else { return nil }
            let start = position % Self.blockSize
            let piece = min(count - done, blocks[place].bytes.count - start)
            guard piece > 0 else { return nil }
            blocks[place].bytes.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: target[done..<(done + piece)]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + piece)]))
            }
            done += piece
            position += piece
        }
        return count
    }

    /// Where a block is kept, fetched first if it is not.
    private func place(of index: Int) -> Int? {
        if let place = blocks.firstIndex(where: { $0.index == index }) { return place }
        let start = index * Self.blockSize
        let count = min(Self.blockSize, source.count - start)
        var isRead = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            isRead = source.read(at: start, into: UnsafeMutableRawBufferPointer(target))
            initialized = isRead ? count : 0
        }
        guard isRead else { return nil }
        if blocks.count >= Self.limit { blocks.removeFirst() }
        blocks.append((index, bytes))
        return blocks.count - 1
    }
}

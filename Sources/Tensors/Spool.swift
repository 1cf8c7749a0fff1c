// Bytes that come in pieces: kept in memory while they are few, in a nameless file otherwise.

import GraftSystem

/// What a reader fills that has to decode, piece by piece, in any order; what it leaves is zero.
///
/// Up to ``threshold`` the bytes are in memory. More lie in a file without a name, in `$TMPDIR` or else
/// in `/var/tmp` or `/tmp`, that is gone with the ``Storage`` made of it, however the process ends: so
/// a tensor of any size takes little memory. The file never takes the last ``reserve`` bytes of a disk.
package final class Spool {
    /// The most bytes that are kept in memory, and that a piece should have.
    package static let threshold = 16 << 20
    /// What is left free for others, in bytes.
    static let reserve = 256 << 20

    private let byteCount: Int
    private var memory: UnsafeMutableRawBufferPointer?
    private var file: FileDescriptor?

    /// A place for `byteCount` bytes.
    ///
    /// - Throws: ``SpoolError`` if no disk has room for them, ``FileError`` if no file can be made.
    package init(byteCount: Int) throws {
        self.byteCount = byteCount
        if byteCount > Self.threshold {
            let file = try Self.file(byteCount)
            // Of that length at once, and without taking room for it.
            try file.truncate(to: byteCount, .makeRoomInside)
            self.file = consume file
        } else {
            let memory = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(byteCount, 1), alignment: 64)
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            self.memory = memory
        }
    }

    deinit {
        memory?.deallocate()
    }

    /// Zeroed memory, at most ``threshold`` bytes, in which to decode a piece of `byteCount` bytes. One
    /// serves for all pieces of a tensor, and it is aligned no more than `malloc` does by itself: glibc
    /// does not find the gaps again that others leave.
    package static func buffer(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(1, min(byteCount, threshold)), alignment: 16)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        return buffer
    }

    /// Puts bytes in their place, which must be within.
    package func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        precondition(offset >= 0 && bytes.count <= byteCount - offset)
        guard let memory else {
            // Zeros need no room: the file has them already.
            guard !Memory.isZero(bytes) else { return }
            switch file {
            case .some(let file): try file.write(bytes, at: offset)
            case .none: preconditionFailure("a spool is filled before it is finished")
            }
            return
        }
        UnsafeMutableRawBufferPointer(rebasing: memory[offset..<(offset + bytes.count)])
            .copyMemory(from: bytes)
    }

    /// Puts a block of a dense tensor in its place: `block` is what it covers of each axis of `shape`,
    /// `width` the bytes of an element.
    package func put(
        _ bytes: UnsafeRawBufferPointer, block: [Range<Int>], of shape: Shape, width: Int
    ) throws(FileError) {
        // The innermost axes that it covers whole, and one more, lie together.
        var axis = block.count
        var run = width
        while axis > 0 {
            axis -= 1
            run *= block[axis].count
            if block[axis].count < shape[axis] { break }
        }
        let strides = shape.strides
        let first = block.isEmpty ? 0 : block[axis].lowerBound * strides[axis]
        var index = block[..<axis].map(\.lowerBound)
        for start in stride(from: 0, to: bytes.count, by: max(run, 1)) {
            var place = first
            for outer in index.indices { place += index[outer] * strides[outer] }
            try put(
                UnsafeRawBufferPointer(rebasing: bytes[start..<(start + run)]), at: place * width)
            for outer in index.indices.reversed() {
                index[outer] += 1
                if index[outer] < block[outer].upperBound { break }
                index[outer] = block[outer].lowerBound
            }
        }
    }

    /// The bytes; nothing can be put any more. `keepsFile` leaves the nameless file open, for another
    /// process to read.
    package func finish(keepsFile: Bool = false) throws(FileError) -> Storage {
        if let memory {
            self.memory = nil
            return Storage(taking: memory, byteCount: byteCount)
        }
        guard let file = file.take() else { preconditionFailure("a spool is finished once") }
        return try Storage(mapping: file, byteCount: byteCount, keepsFile: keepsFile)
    }

    /// A nameless file on the first disk with room for it.
    private static func file(_ byteCount: Int) throws -> FileDescriptor {
        let folders = Environment.setting("TMPDIR").map { [$0] } ?? ["/var/tmp", "/tmp"]
        var full: [SpoolError.Place] = []
        var problem: FileError?
        for folder in folders {
            do {
                let free = try FileSystem.freeByteCount(at: folder)
                guard byteCount <= free - reserve else {
                    full.append(SpoolError.Place(folder: folder, free: free))
                    continue
                }
                return try FileDescriptor(namelessIn: folder)
            } catch {
                problem = problem ?? error
            }
        }
        if full.isEmpty, let problem { throw problem }
        throw SpoolError(needed: byteCount + reserve, places: full)
    }
}

/// No disk has room for what has to be decoded.
package struct SpoolError: Diagnostic, Equatable {
    /// A folder, and how many bytes are free there.
    package struct Place: Equatable, Sendable {
        let folder: String
        let free: Int
    }
    let needed: Int
    let places: [Place]

    /// What happened.
    package var message: String {
        "no room to decode a tensor: expected \(grouped(needed)) bytes free, found "
            + places.map { "\(grouped($0.free)) in `\($0.folder)`" }.joined(separator: ", ")
    }
    /// What to do about it.
    package var hint: String? {
        "free some space there, or set `TMPDIR` to a folder on a larger disk"
    }
}

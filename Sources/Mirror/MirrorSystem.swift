// What the mirror asks of the system: times of change, real places of paths, files that are being received.

import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The time of change of a folder or file whose change makes a listing old.
struct Stamp: Equatable {
    let path: String
    let seconds: Int
    let nanoseconds: Int
    let inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.path = path
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
        inode = UInt64(status.st_ino)
    }

    var isCurrent: Bool { Stamp(path) == self }

    /// Whether a later change has another time: file systems count in ticks, some of two seconds.
    var isSettled: Bool {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int(now.tv_sec) - seconds > 2
    }
}

/// A path without links in it; nil where nothing is there.
func realPath(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
}

/// The target of a symbolic link.
func destination(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
        guard let start = buffer.baseAddress else { return nil }
        let count = readlink(path, start, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

/// A file that is being received.
final class PartialUpload: Sendable {
    private static let creating = "create"
    private static let writing = "write"
    let path: String
    private let descriptor: Int32

    init(in hub: HubCache, for object: LargeFiles.Object) throws {
        try Files.makeFolder(hub.blobs(object.name))
        path = "\(hub.blob(object.name, object.oid)).\(HubCache.infix()).incomplete"
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else { throw FileError(Self.creating, path) }
    }

    deinit { close(descriptor) }

    /// Writes bytes where they belong.
    func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(
                    descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written,
                    off_t(offset + written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError(Self.writing, path) }
            written += count
        }
    }

    /// Removes what was received.
    func discard() { unlink(path) }
}

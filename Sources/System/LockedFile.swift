// A file that is locked against other programs for as long as a value lives.

internal import CGraftSystem

/// A `flock` on a file, released when the value ends; the file is closed after it.
package struct LockedFile: ~Copyable, Sendable {
    /// Whom a lock keeps out.
    package enum Mode: Sendable {
        /// Everybody else.
        case exclusive
        /// Those who want it exclusively.
        case shared
    }

    /// The locked file.
    package let file: FileDescriptor

    /// Waits for the lock.
    ///
    /// - Throws: ``FileError`` with an ``Errno/isUnsupported`` reason on a file system without locks.
    package init(
        locking file: consuming FileDescriptor, _ mode: Mode = .exclusive
    ) throws(FileError) {
        if let errno = Self.lock(file, mode: mode, waits: true) {
            throw FileError(.lock, at: file.path, errno)
        }
        self.file = file
    }

    /// Takes the lock at once; nil if it is held.
    package init?(
        trying file: consuming FileDescriptor, _ mode: Mode = .exclusive
    ) throws(FileError) {
        if let errno = Self.lock(file, mode: mode, waits: false) {
            if errno == .wouldBlock { return nil }
            throw FileError(.lock, at: file.path, errno)
        }
        self.file = file
    }

    deinit { _ = flock(file.number, LOCK_UN) }

    private static func lock(
        _ file: borrowing FileDescriptor, mode: Mode, waits: Bool
    ) -> Errno? {
        let kind = mode == .shared ? LOCK_SH : LOCK_EX
        while flock(file.number, waits ? kind : kind | LOCK_NB) != 0 {
            let errno = Errno.current
            guard errno == .interrupted else { return errno }
        }
        return nil
    }

    /// Whether a lock on a file is held; false where there is no file.
    package static func isHeld(_ path: String) -> Bool {
        guard let file = try? FileDescriptor(opening: path, for: .reading, .noLink) else {
            return false
        }
        return lock(file, mode: .exclusive, waits: false) == .wouldBlock
    }
}

extension FileDescriptor {
    /// Runs `body` while holding an exclusive lock on the file; without one on a file system that has none.
    package func whileLocked<Result>(_ body: () throws -> Result) throws -> Result {
        while flock(number, LOCK_EX) != 0 {
            let errno = Errno.current
            if errno.isUnsupported { break }
            guard errno == .interrupted else { throw FileError(.lock, at: path, errno) }
        }
        defer { _ = flock(number, LOCK_UN) }
        return try body()
    }
}

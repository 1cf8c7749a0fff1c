// A lock file that is held, or that somebody else holds.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A `flock` that lasts as long as the value. Lock files are never deleted.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock at once, making the file where it is missing; nil where somebody holds it.
    init?(trying path: String, mode: mode_t = 0o664) throws(FileError) {
        var descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode)
        // Somebody else's lock file, in a shared cache: reading is enough for `flock`.
        if descriptor < 0, errno == EACCES || errno == EROFS {
            descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        }
        guard descriptor >= 0 else { throw FileError("open", path) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            if errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK { break }
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else { throw FileError("lock", path, code: code) }
            return nil
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Whether somebody holds a lock that exists.
    static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
}

// A lock file that is held, or that somebody else holds.

public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A `flock` that lasts as long as the value. Lock files are never deleted.
public final class FileLock: Sendable {
    private let descriptor: Int32
    /// What is held instead where the file system has no locks that keep others out.
    private let soft: SoftLock?
    /// Whether others are kept out: some file systems have no locks.
    public let isExclusive: Bool

    /// Takes the lock at once, making the file where it is missing; nil where somebody holds it.
    public init?(trying path: String, mode: UInt32 = 0o664) throws(FileError) {
        guard LockSupport.works(beside: path) else {
            guard let soft = SoftLock(trying: path) else { return nil }
            self.soft = soft
            descriptor = -1
            isExclusive = false
            return
        }
        soft = nil
        var found = try Self.attempt(path, mode)
        // Somebody may have deleted the file between our opening and locking it.
        for _ in 0..<8 {
            guard let held = found else { return nil }
            var status = stat()
            if fstat(held.descriptor, &status) != 0 || status.st_nlink > 0 { break }
            close(held.descriptor)
            found = try Self.attempt(path, mode)
        }
        guard let found else { return nil }
        (descriptor, isExclusive) = found
    }

    private static func attempt(
        _ path: String, _ mode: UInt32
    ) throws(FileError) -> (descriptor: Int32, isExclusive: Bool)? {
        var descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode)
        // Somebody else's lock file, in a shared cache: reading is enough for `flock`.
        if descriptor < 0, errno == EACCES || errno == EROFS {
            descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        }
        guard descriptor >= 0 else { throw FileError("open", path) }
        // For other users of a shared cache, whatever the umask; works on our own files only.
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_size == 0, status.st_mode & 0o777 != mode {
            fchmod(descriptor, mode)
        }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            if errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK {
                return (descriptor, false)
            }
            let code = errno
            close(descriptor)
            guard code == EWOULDBLOCK else { throw FileError("lock", path, code: code) }
            return nil
        }
        return (descriptor, true)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Whether somebody holds a lock that exists.
    public static func isHeld(_ path: String) -> Bool {
        var status = stat()
        if lstat(path + ".owner", &status) == 0, !SoftLock.isAbandoned(path + ".owner") {
            return true
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }
}

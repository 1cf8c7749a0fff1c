// A lock file that is held, or that somebody else holds.

import GraftSystem
public import GraftTensors

/// A `flock` that lasts as long as the value. Lock files are never deleted.
public final class FileLock: Sendable {
    /// What keeps others out.
    private enum Held: ~Copyable, Sendable {
        case locked(LockedFile)
        /// A file system without locks: nothing keeps others out.
        case unlocked
        /// What takes the place of locks that keep nobody out.
        case owned(SoftLock)
    }
    private let held: Held
    /// Whether others are kept out: some file systems have no locks.
    public let isExclusive: Bool

    /// Takes the lock at once, making the file where it is missing; nil where somebody holds it.
    public init?(trying path: String, mode: UInt32 = 0o664) throws(FileError) {
        guard LockSupport.works(beside: path) else {
            guard let soft = SoftLock(trying: path) else { return nil }
            held = .owned(soft)
            isExclusive = false
            return
        }
        var attempt = 0
        while true {
            let file = try Self.open(path, mode)
            do {
                guard let lock = try LockedFile(trying: file) else { return nil }
                // Somebody may have deleted the file between our opening and locking it.
                let isDeleted = (try? lock.file.status().linkCount) == 0
                attempt += 1
                if isDeleted, attempt < 8 { continue }
                held = .locked(lock)
                isExclusive = true
                return
            } catch {
                guard error.errno.isUnsupported else { throw error }
                held = .unlocked
                isExclusive = false
                return
            }
        }
    }

    private static func open(_ path: String, _ mode: UInt32) throws(FileError) -> FileDescriptor {
        let file: FileDescriptor
        do {
            file = try FileDescriptor(
                opening: path, for: .updating, [.create, .noLink], permissions: mode)
        } catch {
            // Somebody else's lock file, in a shared cache: reading is enough for `flock`.
            guard error.errno == .permissionDenied || error.errno == .readOnlyFileSystem else {
                throw error
            }
            file = try FileDescriptor(opening: path, for: .reading, .noLink)
        }
        // For other users of a shared cache, whatever the umask; works on our own files only.
        if let status = try? file.status(), status.byteCount == 0, status.permissions != mode {
            _ = try? file.setPermissions(mode)
        }
        return file
    }

    /// Whether somebody holds a lock that exists.
    public static func isHeld(_ path: String) -> Bool {
        let owner = path + ".owner"
        if FileSystem.find(owner, followsLinks: false) != nil, !SoftLock.isAbandoned(owner) {
            return true
        }
        return LockedFile.isHeld(path)
    }
}

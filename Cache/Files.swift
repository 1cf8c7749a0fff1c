// The few file operations that a cache is made of.

public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Folders, small files and locks.
public enum Files {
    /// Makes a folder and those above it.
    public static func makeFolder(_ path: String) throws(FileError) {
        if mkdir(path, 0o777) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let parent = path.pathParent, !parent.isEmpty else {
            throw FileError("create", path)
        }
        try makeFolder(parent)
        guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw FileError("create", path) }
    }

    /// The path from the root.
    public static func absolute(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/") else { return path }
        guard let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    /// The size of a regular file; nil where there is none.
    public static func size(of path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// Whether a folder is there.
    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// What is in a folder, sorted; nothing where there is none.
    public static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let item = readdir(directory) {
            let name = withUnsafePointer(to: &item.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// A small file; nil where it is missing or larger than `limit`.
    public static func read(_ path: String, limit: Int) -> [UInt8]? {
        guard let count = size(of: path), count <= limit else { return nil }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress.map { $0 + filled }, count - filled)
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { return nil }
            filled += got
        }
        return bytes
    }

    /// Writes a small file that appears complete or not at all. `durably` waits for the disk; what can
    /// be had again at any time need not.
    public static func write(
        _ bytes: [UInt8], to path: String, durably: Bool = true, isPrivate: Bool = false
    ) throws(FileError) {
        var file = try AtomicFile(replacing: path)
        if isPrivate, fchmod(file.descriptor, 0o600) != 0 { throw FileError("protect", path) }
        try file.write(bytes)
        try file.commit(durably: durably)
    }

    /// The bytes that may still be written to the file system that `path` is, or would be, on.
    public static func freeBytes(at path: String) -> Int? {
        var path = path
        var status = statvfs()
        while statvfs(path, &status) != 0 {
            guard let parent = path.pathParent, !parent.isEmpty else { return nil }
            path = parent
        }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(
            by: UInt64(status.f_frsize))
        return overflow ? .max : Int(clamping: bytes)
    }

    /// A file name that stays in its folder.
    public static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && name.utf8.allSatisfy { $0 != 47 && $0 != 92 && $0 >= 32 && $0 != 127 }
    }

    /// Runs `body` while holding the `flock` of a file, or what takes its place.
    public static func locked<Result>(_ path: String, _ body: () throws -> Result) throws -> Result
    {
        guard LockSupport.works(beside: path) else {
            while true {
                if let lock = SoftLock(trying: path) {
                    return try withExtendedLifetime(lock) { try body() }
                }
                // Nobody's lock can be made where nobody can write.
                guard access(path.pathParent ?? ".", W_OK) == 0 else { return try body() }
                usleep(20_000)
            }
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o664)
        guard descriptor >= 0 else { throw FileError("open", path) }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            if errno == EINTR { continue }
            // A file system without locks: unique names and renames keep it correct, only wasteful.
            if errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK { break }
            throw FileError("lock", path)
        }
        return try body()
    }
}

/// An environment variable that is set to something.
func variable(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
    return value
}

/// Removes a file or link; whether it was there.
@discardableResult
func removeFile(_ path: String) -> Bool { unlink(path) == 0 }

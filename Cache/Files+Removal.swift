// Removing files and folders, and counting what that frees.

public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Files {
    /// Removes a file or link; the bytes that this frees, which are none while they have other names.
    @discardableResult
    public static func remove(_ path: String) throws(FileError) -> Int {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return 0 }
            throw FileError("remove", path)
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
        return status.st_mode & S_IFMT == S_IFREG && status.st_nlink == 1 ? Int(status.st_size) : 0
    }

    /// Removes a folder and what is in it, following no links; the bytes freed.
    @discardableResult
    public static func removeTree(_ path: String) throws(FileError) -> Int {
        guard let folder = Folder(path) else { return 0 }
        var (files, folders): ([String], [String]) = ([], [])
        folder.forEach { name, kind in
            if kind == .folder { folders.append(name) } else { files.append(name) }
        }
        var freed = 0
        for name in files { freed += try remove("\(path)/\(name)") }
        for name in folders { freed += try removeTree("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
        return freed
    }

    /// Removes a folder and those in it as far as they are empty.
    static func removeEmptyFolders(_ path: String) {
        guard let folder = Folder(path) else { return }
        var folders: [String] = []
        folder.forEach { name, kind in if kind == .folder { folders.append(name) } }
        for name in folders { removeEmptyFolders("\(path)/\(name)") }
        rmdir(path)
    }

    /// Lets this process open as many files as the system allows: thousands of locks may be held.
    static func allowManyFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
            limit.rlim_cur < limit.rlim_max
        else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}

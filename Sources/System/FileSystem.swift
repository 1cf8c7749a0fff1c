// Names of files and folders: what is there, and creating, renaming, linking and removing.

internal import CGraftSystem

/// Operations on paths.
package enum FileSystem {
    /// The status of what a path names, or without `followsLinks` of the link itself.
    package static func status(
        of path: String, followsLinks: Bool = true
    ) throws(FileError) -> FileStatus {
        var status = stat()
        let result = PathBytes.withCString(path) {
            followsLinks ? stat($0, &status) : lstat($0, &status)
        }
        guard result == 0 else { throw FileError(.status, at: path, .current) }
        return FileStatus(status)
    }

    /// The status of what a path names; nil if there is nothing, or nothing that can be looked at.
    package static func find(_ path: String, followsLinks: Bool = true) -> FileStatus? {
        try? status(of: path, followsLinks: followsLinks)
    }

    /// Whether something is there; a link that leads nowhere is nothing.
    package static func exists(_ path: String) -> Bool { isAccessible(path, for: F_OK) }
    /// Whether something is there that this process may read.
    package static func isReadable(_ path: String) -> Bool { isAccessible(path, for: R_OK) }
    /// Whether something is there that this process may write.
    package static func isWritable(_ path: String) -> Bool { isAccessible(path, for: W_OK) }
    /// Whether a folder is there.
    package static func isFolder(_ path: String) -> Bool { find(path)?.kind == .folder }

    /// Why this process may not list a folder, or not create files in it; nil where it may.
    package static func refusal(ofFolder path: String, writing: Bool) -> Errno? {
        let mode = (writing ? W_OK : R_OK) | X_OK
        return PathBytes.withCString(path) { access($0, mode) } == 0 ? nil : .current
    }

    private static func isAccessible(_ path: String, for mode: Int32) -> Bool {
        PathBytes.withCString(path) { access($0, mode) } == 0
    }

    // MARK: Folders

    /// Creates a folder; with `intermediates` also those above it, and it may be there already.
    package static func createFolder(
        _ path: String, intermediates: Bool = false, permissions: UInt32 = 0o777
    ) throws(FileError) {
        do {
            try makeFolder(path, permissions: permissions)
        } catch {
            guard intermediates else { throw FileError(.create, at: path, error) }
            if error == .fileExists { return }
            guard error == .noSuchFile, let parent = parent(of: path) else {
                throw FileError(.create, at: path, error)
            }
            try createFolder(parent, intermediates: true, permissions: permissions)
            do {
                try makeFolder(path, permissions: permissions)
            } catch {
                guard error == .fileExists else { throw FileError(.create, at: path, error) }
            }
        }
    }

    private static func makeFolder(_ path: String, permissions: UInt32) throws(Errno) {
        try retrying(.create, at: path) {
            PathBytes.withCString(path) { mkdir($0, mode_t(permissions)) }
        }
    }

    /// The folder of a path; nil where it names none.
    private static func parent(of path: String) -> String? {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash != path.startIndex
        else { return nil }
        return String(path[..<slash])
    }

    /// The names in a folder, sorted; none where there is no folder.
    package static func names(in path: String) -> [String] {
        guard let folder = try? OpenFolder(path, followsLinks: true) else { return [] }
        var names: [String] = []
        folder.forEach { name, _ in names.append(name) }
        return names.sorted()
    }

    /// Removes an empty folder; whether it was there.
    @discardableResult
    package static func removeFolder(_ path: String) throws(FileError) -> Bool {
        try remove(path) { rmdir($0) }
    }

    // MARK: Files

    /// Removes a file or a link; whether it was there.
    @discardableResult
    package static func remove(_ path: String) throws(FileError) -> Bool {
        try remove(path) { unlink($0) }
    }

    /// Removes a file or a link where it is there and can be removed; whether it was.
    @discardableResult
    package static func discard(_ path: String) -> Bool { (try? remove(path)) ?? false }

    private static func remove(
        _ path: String, _ call: (UnsafePointer<CChar>) -> Int32
    ) throws(FileError) -> Bool {
        do {
            try retrying(.remove, at: path) { PathBytes.withCString(path, call) }
            return true
        } catch {
            guard error == .noSuchFile else { throw FileError(.remove, at: path, error) }
            return false
        }
    }

    /// Gives a file another name, in place of what has it.
    package static func rename(_ path: String, to target: String) throws(FileError) {
        do {
            try retrying(.rename, at: target) {
                PathBytes.withCString(path) { path in
                    PathBytes.withCString(target) { CGraftSystem.rename(path, $0) }
                }
            }
        } catch {
            throw FileError(.rename, at: target, error)
        }
    }

    /// Gives a file a further name.
    package static func link(_ path: String, to target: String) throws(FileError) {
        do {
            try retrying(.link, at: target) {
                PathBytes.withCString(path) { path in
                    PathBytes.withCString(target) { CGraftSystem.link(path, $0) }
                }
            }
        } catch {
            throw FileError(.link, at: target, error)
        }
    }

    /// Creates a symbolic link at `path` that leads to `destination`.
    package static func createLink(
        _ path: String, to destination: String
    ) throws(FileError) {
        do {
            try retrying(.link, at: path) {
                PathBytes.withCString(destination) { destination in
                    PathBytes.withCString(path) { symlink(destination, $0) }
                }
            }
        } catch {
            throw FileError(.link, at: path, error)
        }
    }

    /// The destination of a symbolic link, as it is stored; nil if there is no link.
    package static func destination(ofLink path: String) -> String? {
        PathBytes.withCString(path) { OpenFolder.destination(ofLink: $0, at: AT_FDCWD) }
    }

    /// Sets the time of the last use and change of a file or link to now.
    package static func touch(_ path: String) {
        PathBytes.withCString(path) { _ = utimensat(AT_FDCWD, $0, nil, AT_SYMLINK_NOFOLLOW) }
    }

    // MARK: Places

    /// The path from the root; links stay as they are.
    package static func absolute(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/") else { return path }
        guard let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return PathBytes.string(ofCString: folder)
            + "/" + path
    }

    /// The path from the root without links; nil where nothing is there.
    package static func resolved(_ path: String) -> String? {
        guard let found = PathBytes.withCString(path, { realpath($0, nil) }) else { return nil }
        defer { free(found) }
        return PathBytes.string(ofCString: found)
    }

    /// The bytes that this user may still write to the file system of a path.
    package static func freeByteCount(at path: String) throws(FileError) -> Int {
        var status = statvfs()
        guard PathBytes.withCString(path, { statvfs($0, &status) }) == 0 else {
            throw FileError(.use, at: path, .current)
        }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(
            by: UInt64(status.f_frsize))
        return overflow ? .max : Int(clamping: bytes)
    }

    /// The number of the kind of file system that a path is on; 0 if it is unknown.
    package static func kindNumber(at path: String) -> UInt32 {
        PathBytes.withCString(path) { graft_file_system($0) }
    }
}

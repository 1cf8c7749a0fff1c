// Removing files and folders, and counting what that frees.

import GraftSystem
public import GraftTensors

extension Files {
    /// Removes a file or link; the bytes that this frees, which are none while they have other names.
    @discardableResult
    public static func remove(_ path: String) throws(FileError) -> Int {
        let status: FileStatus
        do {
            status = try FileSystem.status(of: path, followsLinks: false)
        } catch {
            if error.errno == .noSuchFile { return 0 }
            throw FileError(.remove, at: path, error.errno)
        }
        guard try FileSystem.remove(path) else { return 0 }
        return status.kind == .file && status.linkCount == 1 ? status.byteCount : 0
    }

    /// Removes a folder and what is in it, following no links; the bytes freed.
    @discardableResult
    public static func removeTree(_ path: String) throws(FileError) -> Int {
        guard let folder = try? OpenFolder(path) else { return 0 }
        var (files, folders): ([String], [String]) = ([], [])
        folder.forEach { name, kind in
            if kind == .folder { folders.append(name) } else { files.append(name) }
        }
        var freed = 0
        for name in files { freed += try remove("\(path)/\(name)") }
        for name in folders { freed += try removeTree("\(path)/\(name)") }
        try FileSystem.removeFolder(path)
        return freed
    }

    /// Removes a folder and those in it as far as they are empty.
    static func removeEmptyFolders(_ path: String) {
        guard let folder = try? OpenFolder(path) else { return }
        var folders: [String] = []
        folder.forEach { name, kind in if kind == .folder { folders.append(name) } }
        for name in folders { removeEmptyFolders("\(path)/\(name)") }
        removeEmptyFolder(path)
    }
}

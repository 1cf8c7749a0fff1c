// Removing files and folders, and counting what that frees.

import GraftSystem
public import GraftTensors

extension Files {
    /// Removes a file or link; the bytes that this frees, which are none while they have other names.
    @discardableResult
    public static func remove(_ path: String) throws(FileError) -> Int {
        try FileSystem.removeCounting(path)
    }

    /// Removes a folder and what is in it, following no links; the bytes freed.
    @discardableResult
    public static func removeTree(_ path: String) throws(FileError) -> Int {
        try FileSystem.removeTree(path)
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

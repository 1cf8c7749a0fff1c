// Removing files and folders with what is in them, and counting what that frees.

extension FileSystem {
    /// Removes a file or link; the bytes that this frees, which are none while it has other names.
    package static func removeCounting(_ path: String) throws(FileError) -> Int {
        let status: FileStatus
        do {
            status = try self.status(of: path, followsLinks: false)
        } catch {
            if error.errno == .noSuchFile { return 0 }
            throw FileError(.remove, at: path, error.errno)
        }
        guard try remove(path) else { return 0 }
        return status.kind == .file && status.linkCount == 1 ? status.byteCount : 0
    }

    /// Removes a folder and what is in it, following no links; the bytes freed.
    package static func removeTree(_ path: String) throws(FileError) -> Int {
        guard let folder = try? OpenFolder(path) else { return 0 }
        var (files, folders): ([String], [String]) = ([], [])
        folder.forEach { name, kind in
            if kind == .folder { folders.append(name) } else { files.append(name) }
        }
        var freed = 0
        for name in files { freed += try removeCounting("\(path)/\(name)") }
        for name in folders { freed += try removeTree("\(path)/\(name)") }
        try removeFolder(path)
        return freed
    }

    /// The bytes that removing a folder would free, as far as it can be read.
    package static func byteCount(inTree path: String) -> Int {
        guard let folder = try? OpenFolder(path) else { return 0 }
        var names: [String] = []
        folder.forEach { name, _ in names.append(name) }
        return names.reduce(0) { sum, name in
            guard let status = find("\(path)/\(name)", followsLinks: false) else { return sum }
            switch status.kind {
            case .folder: return sum + byteCount(inTree: "\(path)/\(name)")
            case .file: return sum + (status.linkCount == 1 ? status.byteCount : 0)
            case .link, .other: return sum
            }
        }
    }
}

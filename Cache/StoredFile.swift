// One file that takes room on the disk, and which names share its bytes.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file of the cache, as the file system sees it.
public struct StoredFile: Sendable, Equatable {
    /// Where it is, relative to the folder of what it belongs to, or absolute.
    public let path: String
    /// Its size.
    public let byteCount: Int
    /// When it was written, in seconds since 1970.
    public let modified: Int
    /// Which bytes it names: equal for hard links.
    public let inode: Inode
    /// How many names the bytes have.
    public let links: Int
    /// The file in the store of blobs shared between repositories that this name is a link to.
    public let sharedTarget: String?

    /// What the file system calls the bytes of a file.
    public struct Inode: Hashable, Sendable {
        let device: UInt64
        let number: UInt64
    }

    init(_ path: String, _ status: stat, sharedTarget: String? = nil) {
        self.path = path
        byteCount = Int(status.st_size)
        modified = Int(status.st_mtim.tv_sec)
        inode = Inode(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
        links = Int(status.st_nlink)
        self.sharedTarget = sharedTarget
    }

    /// The regular file at a path; nil where there is none.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        self.init(path, status)
    }
}

/// An open folder, read once.
struct Folder: ~Copyable {
    private let handle: OpaquePointer
    /// For `openat` and its kin.
    let descriptor: Int32

    /// Opens a folder; nil where there is none. Symbolic links are followed where `following`.
    init?(_ path: String, at parent: Int32 = AT_FDCWD, following: Bool = false) {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (following ? 0 : O_NOFOLLOW)
        let descriptor = openat(parent, path, flags)
        guard descriptor >= 0 else { return nil }
        guard let handle = fdopendir(descriptor) else {
            close(descriptor)
            return nil
        }
        self.handle = handle
        self.descriptor = descriptor
    }

    deinit { closedir(handle) }

    /// What an entry is, as the folder says without looking at the entry itself.
    enum Kind { case file, folder, link, other }

    /// Hands every entry over.
    borrowing func forEach(_ body: (String, Kind) -> Void) {
        while let item = readdir(handle) {
            let name = withUnsafePointer(to: &item.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            var kind = Int32(item.pointee.d_type)
            if kind == Int32(DT_UNKNOWN), let status = status(of: name) {
                switch status.st_mode & S_IFMT {
                case S_IFREG: kind = Int32(DT_REG)
                case S_IFDIR: kind = Int32(DT_DIR)
                case S_IFLNK: kind = Int32(DT_LNK)
                default: break
                }
            }
            switch kind {
            case Int32(DT_REG): body(name, .file)
            case Int32(DT_DIR): body(name, .folder)
            case Int32(DT_LNK): body(name, .link)
            default: body(name, .other)
            }
        }
    }

    /// An entry itself, or what it is a link to.
    borrowing func status(of name: String, following: Bool = false) -> stat? {
        var status = stat()
        let flags = following ? 0 : AT_SYMLINK_NOFOLLOW
        return fstatat(descriptor, name, &status, flags) == 0 ? status : nil
    }

    /// Where a symbolic link points.
    borrowing func target(of name: String) -> String? {
        linkTarget(name, at: descriptor)
    }

    /// The beginning of a small file.
    borrowing func read(_ name: String, limit: Int) -> String? {
        let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: limit, alignment: 1) { buffer in
            let count = systemRead(file, buffer.baseAddress, buffer.count)
            guard count >= 0 else { return nil }
            return String(
                decoding: UnsafeRawBufferPointer(rebasing: buffer[..<count]), as: UTF8.self)
        }
    }
}

private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(file, buffer, count)
}

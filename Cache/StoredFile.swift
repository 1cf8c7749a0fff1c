// One file that takes room on the disk, and which names share its bytes.

import GraftSystem

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

    /// What the blob is called, where it is one of a repository.
    var blobName: String? { path.hasBytes("blobs/") ? path.droppingBytes(6) : nil }

    /// What the file system calls the bytes of a file.
    public struct Inode: Hashable, Sendable {
        let device: UInt64
        let number: UInt64
    }

    init(_ path: String, status: FileStatus, sharedTarget: String? = nil) {
        self.path = path
        byteCount = status.byteCount
        modified = status.modified.seconds
        inode = Inode(device: status.device, number: status.inode)
        links = status.linkCount
        self.sharedTarget = sharedTarget
    }

    /// The regular file at a path; nil where there is none.
    init?(_ path: String) {
        guard let status = FileSystem.find(path), status.kind == .file else { return nil }
        self.init(path, status: status)
    }

    /// When a file was last read, as far as the file system or who read it wrote that down; 0 where
    /// there is none.
    static func accessed(_ path: String) -> Int {
        FileSystem.find(path)?.accessed.seconds ?? 0
    }
}

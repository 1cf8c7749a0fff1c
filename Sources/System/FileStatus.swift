// What the file system says of a file: kind, size, times and identity.

internal import CGraftSystem

/// The entry of a file system about a file.
package struct FileStatus: Hashable, Sendable {
    /// The kind of object that a name stands for.
    package enum Kind: Hashable, Sendable { case file, folder, link, other }

    /// A moment: seconds since 1970 and the part of a second.
    package struct Moment: Hashable, Sendable {
        package let seconds: Int
        package let nanoseconds: Int
    }

    package let kind: Kind
    package let byteCount: Int
    /// Read, write and run permissions: the last nine bits of the mode.
    package let permissions: UInt32
    package let accessed: Moment
    package let modified: Moment
    package let changed: Moment
    package let device: UInt64
    package let inode: UInt64
    /// The number of names of the file.
    package let linkCount: Int
    /// The number of the user that the file belongs to.
    package let owner: UInt32

    init(_ status: stat) {
        kind = Self.kind(status.st_mode)
        byteCount = Int(status.st_size)
        permissions = UInt32(status.st_mode) & 0o777
        accessed = Moment(
            seconds: Int(status.st_atim.tv_sec), nanoseconds: Int(status.st_atim.tv_nsec))
        modified = Moment(
            seconds: Int(status.st_mtim.tv_sec), nanoseconds: Int(status.st_mtim.tv_nsec))
        changed = Moment(
            seconds: Int(status.st_ctim.tv_sec), nanoseconds: Int(status.st_ctim.tv_nsec))
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        linkCount = Int(status.st_nlink)
        owner = status.st_uid
    }

    static func kind(_ mode: mode_t) -> Kind {
        switch Int32(bitPattern: UInt32(mode)) & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .folder
        case S_IFLNK: .link
        default: .other
        }
    }
}

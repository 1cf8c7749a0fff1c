// The reason for which the system refused a call.

internal import CGraftSystem

/// An error number of the system, such as `ENOENT`.
public struct Errno: Error, Hashable, Sendable {
    /// The number.
    public let code: Int32

    /// The error of this number.
    public init(code: Int32) { self.code = code }

    /// The error of the call that just failed on this thread.
    static var current: Errno { Errno(code: graft_errno()) }

    /// The system's words for it, in lower case: `no such file or directory`.
    public var message: String { String(cString: strerror(code)).lowercased() }
}

extension Errno {
    /// `ENOENT`: no such file or folder.
    public static let noSuchFile = Errno(code: ENOENT)
    /// `EEXIST`: something has that name.
    public static let fileExists = Errno(code: EEXIST)
    /// `EACCES`: the permissions do not allow it.
    public static let permissionDenied = Errno(code: EACCES)
    /// `EPERM`: only the owner or root may.
    public static let notPermitted = Errno(code: EPERM)
    /// `EROFS`: the file system is read-only.
    public static let readOnlyFileSystem = Errno(code: EROFS)
    /// `EISDIR`: a folder, where a file is expected.
    public static let isFolder = Errno(code: EISDIR)
    /// `ENOTDIR`: a file, where a folder is expected.
    public static let notFolder = Errno(code: ENOTDIR)
    /// `ENOTEMPTY`: the folder has entries.
    public static let folderNotEmpty = Errno(code: ENOTEMPTY)
    /// `ENOSPC`: the disk is full.
    public static let noSpace = Errno(code: ENOSPC)
    /// `EDQUOT`: the quota is used up.
    public static let quotaExceeded = Errno(code: EDQUOT)
    /// `EIO`: the disk failed.
    public static let inputOutput = Errno(code: EIO)
    /// `EINTR`: a signal came.
    public static let interrupted = Errno(code: EINTR)
    /// `EINVAL`: the arguments make no sense.
    public static let invalidArgument = Errno(code: EINVAL)
    /// `EBADF`: the file is not open.
    public static let notOpen = Errno(code: EBADF)
    /// `ENOMEM`: out of memory.
    public static let noMemory = Errno(code: ENOMEM)
    /// `ELOOP`: a symbolic link where none is followed.
    public static let symbolicLink = Errno(code: ELOOP)
    /// `ENAMETOOLONG`: the path or a part of it is too long.
    public static let nameTooLong = Errno(code: ENAMETOOLONG)
    /// `ESTALE`: the file is another one by now.
    public static let stale = Errno(code: ESTALE)
    /// `E2BIG`: more than there is room for.
    public static let tooLong = Errno(code: E2BIG)
    /// `EBUSY`: it is in use.
    public static let busy = Errno(code: EBUSY)
    /// `EPIPE`: the reader is gone.
    public static let brokenPipe = Errno(code: EPIPE)
    /// `EXDEV`: the two names are on different file systems.
    public static let otherFileSystem = Errno(code: EXDEV)
    /// `EWOULDBLOCK`: it would have to wait.
    public static let wouldBlock = Errno(code: EWOULDBLOCK)
    /// `ESRCH`: no such process.
    public static let noSuchProcess = Errno(code: ESRCH)

    /// Whether the file system does not know the operation at all: no locks, no links.
    public var isUnsupported: Bool { [ENOSYS, EOPNOTSUPP, ENOLCK].contains(code) }
    /// Whether there is no room: the disk is full or the quota is used up.
    public var isNoRoom: Bool { self == .noSpace || self == .quotaExceeded }
}

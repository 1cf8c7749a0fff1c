// A system call that failed on a path.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file operation that the system refused, with the path and its reason.
public struct FileError: Diagnostic, Equatable {
    /// What was tried: `open`, `write`, `rename`…
    public let operation: String
    /// The path it was tried on.
    public let path: String
    /// The `errno` that came back.
    public let code: Int32

    /// An error for `operation` on `path`, from `errno` unless `code` is given.
    public init(_ operation: String, _ path: String, code: Int32? = nil) {
        self.operation = operation
        self.path = path
        self.code = code ?? errno
    }

    /// What happened.
    public var message: String {
        "cannot \(operation) `\(path)`: \(String(cString: strerror(code)).lowercased())"
    }

    /// What to do about it.
    public var hint: String? {
        switch code {
        case ENOENT: "check the path: nothing is there"
        case EACCES, EPERM, EROFS: "check who may read and write there with `ls -ld`"
        case ENOSPC, EDQUOT: "free some space there, or name another folder"
        case EEXIST: "name another place, or remove what is there"
        case EISDIR: "name a file, not a folder"
        case ELOOP: "a part of the path is a symbolic link, which is not followed here"
        case ENAMETOOLONG: "name a folder with a shorter path"
        case ENOTDIR: "a part of the path is a file, not a folder"
        default: nil
        }
    }
}

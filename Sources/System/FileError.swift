// A file operation that the system refused: what was tried, on which path, and the system's reason.

/// A file operation that failed.
public struct FileError: Error, Hashable, Sendable {
    /// The operation that was tried, as the verb of its message: `open`, `write`, `rename to`.
    public struct Operation: RawRepresentable, ExpressibleByStringLiteral, Hashable, Sendable {
        /// The verb.
        public let rawValue: String
        /// The operation of a verb.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// The operation of a verb.
        public init(stringLiteral verb: String) { rawValue = verb }

        /// Open a file or folder.
        public static let open: Operation = "open"
        /// Create a file or folder.
        public static let create: Operation = "create"
        /// Look at the size and kind of a file.
        public static let status: Operation = "stat"
        /// Read a file.
        public static let read: Operation = "read"
        /// List a folder.
        public static let list: Operation = "list"
        /// Write a file.
        public static let write: Operation = "write"
        /// Wait until a file is on the disk.
        public static let flush: Operation = "flush"
        /// Map a file.
        public static let map: Operation = "map"
        /// Map a nameless file of a folder.
        public static let mapInside: Operation = "map a file in"
        /// Create a nameless file in a folder.
        public static let createInside: Operation = "make a file in"
        /// Have memory for a file.
        public static let makeRoom: Operation = "make room for"
        /// Have room for a nameless file of a folder.
        public static let makeRoomInside: Operation = "make room in"
        /// Use a folder.
        public static let use: Operation = "use"
        /// Rename to a path.
        public static let rename: Operation = "rename to"
        /// Remove a file or folder.
        public static let remove: Operation = "remove"
        /// Give a file a further name, or make a symbolic link.
        public static let link: Operation = "link"
        /// Lock a file.
        public static let lock: Operation = "lock"
        /// Set who may read and write.
        public static let protect: Operation = "protect"
    }

    /// The operation that was tried.
    public let operation: Operation
    /// The path it was tried on.
    public let path: String
    /// The system's reason.
    public let errno: Errno

    /// The failure of an operation on a path.
    public init(_ operation: Operation, at path: String, _ errno: Errno) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    // For modules that call the system themselves; it is removed with the last of them.
    /// The failure of the call of the system that was made last on this thread, unless `code` is given.
    public init(_ operation: String, _ path: String, code: Int32? = nil) {
        self.init(
            Operation(rawValue: operation), at: path, code.map { Errno(code: $0) } ?? .current)
    }

    /// The number of the reason.
    public var code: Int32 { errno.code }

    /// Operation, path and reason.
    public var message: String { "cannot \(operation.rawValue) `\(path)`: \(errno.message)" }

    /// A step to take.
    public var hint: String? {
        switch errno {
        case .noSuchFile: "check the path: nothing is there"
        case .permissionDenied, .notPermitted, .readOnlyFileSystem:
            "check who may read and write there with `ls -ld`"
        case .noSpace, .quotaExceeded: "free some space there, or name another folder"
        case .fileExists: "name another place, or remove what is there"
        case .isFolder: "name a file, not a folder"
        case .symbolicLink: "a part of the path is a symbolic link, which is not followed here"
        case .nameTooLong: "name a folder with a shorter path"
        case .notFolder: "a part of the path is a file, not a folder"
        default: nil
        }
    }
}

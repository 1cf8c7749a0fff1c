// An open file: read, written and closed, with errors that name its path.

internal import CGraftSystem

/// An open file, closed when the value ends.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The purpose for which a file is opened.
    package enum Access: Sendable { case reading, writing, updating }

    /// Options of opening a file.
    package struct Options: OptionSet, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }
        /// The file is created where it is missing.
        package static let create = Options(rawValue: 1)
        /// The file must be missing, and is created.
        package static let exclusive = Options(rawValue: 2)
        /// The file is emptied.
        package static let truncate = Options(rawValue: 4)
        /// Every write goes to the end.
        package static let append = Options(rawValue: 8)
        /// The path must not be a symbolic link.
        package static let noLink = Options(rawValue: 16)
        /// A pipe is not waited for.
        package static let noWait = Options(rawValue: 32)
        /// The path must be a folder.
        package static let folder = Options(rawValue: 64)
    }

    /// The number by which the system and C libraries know it; negative once closed.
    package private(set) var number: Int32
    /// The path that errors name.
    package let path: String

    /// Takes over an open file; errors call it `path`.
    package init(takingOver number: Int32, path: String) {
        self.number = number
        self.path = path
    }

    /// Opens a file.
    package init(
        opening path: String, for access: Access = .reading, _ options: Options = [],
        permissions: UInt32 = 0o666
    ) throws(FileError) {
        let flags = Self.flags(for: access, options)
        do {
            number = try retrying(.open, at: path) {
                PathBytes.withCString(path) { graft_open($0, flags, mode_t(permissions)) }
            }
        } catch {
            let creates = options.contains(.create) || options.contains(.exclusive)
            throw FileError(creates ? .create : .open, at: path, error)
        }
        self.path = path
    }

    static func flags(for access: Access, _ options: Options) -> Int32 {
        var flags = O_CLOEXEC
        switch access {
        case .reading: flags |= O_RDONLY
        case .writing: flags |= O_WRONLY
        case .updating: flags |= O_RDWR
        }
        if options.contains(.create) { flags |= O_CREAT }
        if options.contains(.exclusive) { flags |= O_CREAT | O_EXCL }
        if options.contains(.truncate) { flags |= O_TRUNC }
        if options.contains(.append) { flags |= O_APPEND }
        if options.contains(.noLink) { flags |= O_NOFOLLOW }
        if options.contains(.noWait) { flags |= O_NONBLOCK }
        if options.contains(.folder) { flags |= O_DIRECTORY }
        return flags
    }

    deinit {
        if number >= 0 { CGraftSystem.close(number) }
    }

    /// Closes the file. Some file systems report only now that there was no space.
    package mutating func close() throws(FileError) {
        guard number >= 0 else { return }
        let closing = number
        number = -1
        guard CGraftSystem.close(closing) == 0 else {
            let errno = Errno.current
            guard errno == .interrupted else { throw FileError(.write, at: path, errno) }
            return
        }
    }

    /// A nameless file of a folder for reading and writing, gone when it is closed; errors name the folder.
    package init(namelessIn folder: String) throws(FileError) {
        path = folder
        do {
            number = try retrying(.open, at: folder) {
                PathBytes.withCString(folder) { folder in
                    let file = graft_open_nameless(folder)
                    if file >= 0 { return file }
                    // Some file systems have no nameless files: one whose name is removed at once.
                    var template =
                        Array(UnsafeBufferPointer(start: folder, count: strlen(folder)))
                        + Array("/graft-XXXXXX".utf8CString)
                    let named = mkstemp(&template)
                    guard named >= 0 else { return -1 }
                    unlink(template)
                    _ = graft_close_on_exec(named)
                    return named
                }
            }
        } catch {
            throw FileError(.createInside, at: folder, error)
        }
    }

    /// A second number of the same open file, for a child process: at least 16, since 0 to 3 are its own.
    package func duplicated() throws(FileError) -> FileDescriptor {
        let copy = graft_duplicate(number, 16)
        guard copy >= 0 else { throw FileError(.open, at: path, .current) }
        return FileDescriptor(takingOver: copy, path: path)
    }
}

extension FileDescriptor {
    /// Reads the next bytes, at least one; 0 at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        do {
            return try transferring(.read, at: path, count: buffer.count) { count in
                CGraftSystem.read(number, buffer.baseAddress, count)
            }
        } catch {
            throw FileError(.read, at: path, error)
        }
    }

    /// Fills a buffer from a place of the file, as far as the file goes; returns how many bytes that were.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(FileError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let start = filled
            let count: Int
            do {
                count = try transferring(.read, at: path, count: buffer.count - start) { count in
                    pread(
                        number, buffer.baseAddress.map { $0 + start }, count, off_t(offset + start))
                }
            } catch {
                throw FileError(.read, at: path, error)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// Hands over the rest of the file, a megabyte at a time.
    package func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        posix_fadvise(number, 0, 0, POSIX_FADV_SEQUENTIAL)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            guard count > 0 else { return }
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Writes all bytes where the last write ended.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        try writeAll(bytes) { pointer, count, _ in CGraftSystem.write(number, pointer, count) }
    }

    /// Writes all bytes where the last write ended.
    package func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Writes all bytes at a place of the file.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try writeAll(bytes) { pointer, count, done in
            pwrite(number, pointer, count, off_t(offset + done))
        }
    }

    /// Writes bytes in one call, so that lines of several programs do not mix; false if not all were written.
    package func writeAtOnce(_ bytes: [UInt8]) -> Bool {
        let count = try? transferring(.write, at: path, count: bytes.count) { count in
            bytes.withUnsafeBytes { CGraftSystem.write(number, $0.baseAddress, count) }
        }
        return count == bytes.count
    }

    private func writeAll(
        _ bytes: UnsafeRawBufferPointer,
        _ call: (_ bytes: UnsafeRawPointer?, _ count: Int, _ done: Int) -> Int
    ) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let start = done
            let count: Int
            do {
                count = try transferring(.write, at: path, count: bytes.count - start) { count in
                    call(bytes.baseAddress.map { $0 + start }, count, start)
                }
            } catch {
                throw FileError(.write, at: path, error)
            }
            // A device that takes nothing and reports nothing would be asked for ever.
            guard count > 0 else { throw FileError(.write, at: path, .inputOutput) }
            done += count
        }
    }

    /// Kind, size and times of the file.
    package func status() throws(FileError) -> FileStatus {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw FileError(.status, at: path, .current) }
        return FileStatus(status)
    }

    /// Waits until the file is on the disk; pipes and devices need no waiting.
    package func synchronize(_ operation: FileError.Operation = .flush) throws(FileError) {
        do {
            try retrying(.synchronize, at: path) { fsync(number) }
        } catch {
            guard error == .invalidArgument else { throw FileError(operation, at: path, error) }
        }
    }

    /// Sets the size, without taking room for what is new.
    package func truncate(
        to byteCount: Int, _ operation: FileError.Operation = .write
    ) throws(FileError) {
        do {
            try retrying(.write, at: path) { ftruncate(number, off_t(byteCount)) }
        } catch {
            throw FileError(operation, at: path, error)
        }
    }

    /// Sets who may read and write: `0o600` is the owner alone.
    package func setPermissions(_ permissions: UInt32) throws(FileError) {
        guard fchmod(number, mode_t(permissions)) == 0 else {
            throw FileError(.protect, at: path, .current)
        }
    }

    /// Sets the time of the last use to now.
    package func markUse() { _ = graft_mark_use(number) }

    /// Makes this empty file share the blocks of another; false where the file system cannot.
    package func shareBlocks(of other: borrowing FileDescriptor) -> Bool {
        graft_clone(number, other.number) == 0
    }
}

// A file that appears under its name only when it is complete.

/// A temporary file beside its destination: ``commit(durably:)`` flushes it to the disk and renames it,
/// anything else removes it, so that a reader never meets half a file.
public struct AtomicFile: ~Copyable, Sendable {
    /// The path under which the file will appear.
    public let path: String
    private var file: FileDescriptor
    private let temporary: String
    private var isCommitted = false

    /// Starts a file that will replace `path`.
    public init(replacing path: String) throws(FileError) {
        self.path = path
        // Beside its destination; a long name leaves room for what is added.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let start = slash.map { path.utf8.index(after: $0) } ?? path.utf8.startIndex
        let isLong = path.utf8[start...].count > 220
        let stem = isLong ? path[..<start] + "graft" : path[...]
        var attempt = 0
        while true {
            let random = String(UInt32.random(in: 0 ... .max), radix: 36)
            let name = "\(stem).\(CurrentProcess.id)-\(random).tmp"
            do {
                file = try FileDescriptor(opening: name, for: .writing, .exclusive)
                temporary = name
                return
            } catch {
                attempt += 1
                guard error.errno == .fileExists, attempt < 16 else {
                    throw FileError(.create, at: path, error.errno)
                }
            }
        }
    }

    deinit {
        if !isCommitted { _ = try? FileSystem.remove(temporary) }
    }

    /// The number of the open file, until ``commit(durably:)``; for C libraries that write themselves.
    public var descriptor: Int32 { file.number }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        try named { () throws(FileError) in try file.write(bytes) }
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try named { () throws(FileError) in try file.write(bytes) }
    }

    /// Writes bytes at a place. The file's position stays where it is.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        try named { () throws(FileError) in try file.write(bytes, at: offset) }
    }

    /// Lets only the owner read the file.
    package func makePrivate() throws(FileError) {
        try named { () throws(FileError) in try file.setPermissions(0o600) }
    }

    /// Makes the file share the blocks of another; false where the file system cannot.
    package func shareBlocks(of other: borrowing FileDescriptor) -> Bool {
        file.shareBlocks(of: other)
    }

    /// Puts the complete file in its place. `durably` waits until it is on the disk, so that it
    /// survives a power cut; otherwise the system writes it when it likes, as it does for `cp`.
    public mutating func commit(durably: Bool = true) throws(FileError) {
        if durably { try named { () throws(FileError) in try file.synchronize(.write) } }
        try FileSystem.rename(temporary, to: path)
        isCommitted = true
        do {
            try file.close()
        } catch {
            throw FileError(error.operation, at: path, error.errno)
        }
        guard durably else { return }
        // The name itself is durable once its folder is.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { String(path[...$0]) } ?? "."
        if let handle = try? FileDescriptor(opening: folder, for: .reading, .folder) {
            try? handle.synchronize()
        }
    }

    /// Errors name the file that was to appear, and not the temporary one.
    private func named(_ body: () throws(FileError) -> Void) throws(FileError) {
        do {
            try body()
        } catch {
            throw FileError(error.operation, at: path, error.errno)
        }
    }
}

// A file that appears under its name only when it is complete.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A temporary file beside its destination: ``commit()`` flushes it to the disk and renames it,
/// anything else removes it, so that a reader never meets half a file.
public struct AtomicFile: ~Copyable {
    /// Where the file will appear.
    public let path: String
    /// Open for writing until ``commit()``; for C libraries that write themselves.
    public let descriptor: Int32
    private let temporary: String
    private var isOpen = true

    /// Starts a file that will replace `path`.
    public init(replacing path: String) throws(FileError) {
        self.path = path
        var name = ""
        var handle: Int32 = -1
        // Beside its destination; a long name leaves room for what is added.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let start = slash.map { path.utf8.index(after: $0) } ?? path.utf8.startIndex
        let isLong = path.utf8[start...].count > 220
        let stem = isLong ? path[..<start] + "graft" : path[...]
        for _ in 0..<16 {
            name = "\(stem).\(getpid())-\(String(UInt32.random(in: 0 ... .max), radix: 36)).tmp"
            handle = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard handle < 0, errno == EEXIST else { break }
        }
        guard handle >= 0 else { throw FileError("create", path) }
        temporary = name
        descriptor = handle
    }

    deinit {
        guard isOpen else { return }
        close(descriptor)
        unlink(temporary)
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes
        while !rest.isEmpty {
            // Linux writes at most 2 GiB at once.
            let count = systemWrite(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FileError("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Puts the complete file in its place. `durably` waits until it is on the disk, so that it
    /// survives a power cut; otherwise the system writes it when it likes, as it does for `cp`.
    public mutating func commit(durably: Bool = true) throws(FileError) {
        if durably {
            guard fsync(descriptor) == 0 || errno == EINVAL else {
                throw FileError("write", path)
            }
        }
        guard rename(temporary, path) == 0 else { throw FileError("rename to", path) }
        isOpen = false
        // Some file systems tell only now that there was no space.
        guard close(descriptor) == 0 || errno == EINTR else { throw FileError("write", path) }
        guard durably else { return }
        // The name itself is durable once its folder is.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { String(path[...$0]) } ?? "."
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if handle >= 0 {
            fsync(handle)
            close(handle)
        }
    }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

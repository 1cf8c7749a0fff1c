// The bytes behind tensors: owned memory or a mapped file, shared and never changed.

import CGraftSystem

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Immutable bytes with shared ownership: freed or unmapped when the last tensor lets go.
public final class Storage: @unchecked Sendable {
    // Sendable because nothing writes to the bytes after `init`.
    private let pointer: UnsafeRawPointer?
    private let release: @Sendable (UnsafeRawPointer) -> Void

    /// The number of bytes.
    public let byteCount: Int
    /// The file that is mapped here, if it has a name.
    public let path: String?
    /// The file that is mapped here, open, if it has no name.
    package let descriptor: Int32?
    private let isMapped: Bool

    private init(
        _ pointer: UnsafeRawPointer?, byteCount: Int, path: String? = nil,
        descriptor: Int32? = nil, isMapped: Bool,
        release: @escaping @Sendable (UnsafeRawPointer) -> Void
    ) {
        self.pointer = pointer
        self.byteCount = byteCount
        self.path = path
        self.descriptor = descriptor
        self.isMapped = isMapped
        self.release = release
    }

    /// Allocates `byteCount` bytes, 64-byte aligned, and lets `fill` write them; whatever it
    /// leaves is zero.
    public convenience init(
        byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) rethrows {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(byteCount, 1), alignment: 64)
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        do {
            try fill(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<byteCount]))
        } catch {
            buffer.deallocate()
            throw error
        }
        self.init(taking: buffer, byteCount: byteCount)
    }

    /// Takes over allocated memory, of which `byteCount` bytes count.
    convenience init(taking buffer: UnsafeMutableRawBufferPointer, byteCount: Int) {
        self.init(UnsafeRawPointer(buffer.baseAddress), byteCount: byteCount, isMapped: false) {
            UnsafeMutableRawPointer(mutating: $0).deallocate()
        }
    }

    /// A copy of the bytes of an array.
    public convenience init<Element: BitwiseCopyable>(_ elements: [Element]) {
        self.init(byteCount: elements.count * MemoryLayout<Element>.stride) { target in
            elements.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// Opens a regular file for reading.
    private static func file(_ path: String) throws(FileError) -> (descriptor: Int32, size: Int) {
        // Without waiting: a pipe is refused below, and has no end to wait for.
        let descriptor = PathBytes.withCString(path) {
            open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        }
        guard descriptor >= 0 else { throw FileError("open", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = FileError("stat", path)
            close(descriptor)
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileError("open", path, code: EISDIR)
        }
        return (descriptor, Int(status.st_size))
    }

    /// Reads a whole file into memory: what happens to the file afterwards does not matter.
    public convenience init(reading path: String) throws(FileError) {
        let (descriptor, size) = try Self.file(path)
        defer { close(descriptor) }
        guard size > 0 else {
            self.init(nil, byteCount: 0, path: path, isMapped: false) { _ in }
            return
        }
        // From the system and not by `malloc`: a size that cannot be had is an error.
        let base = mmap(
            nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base, base != MAP_FAILED else {
            throw FileError("make room for", path, code: ENOMEM)
        }
        var offset = 0
        while offset < size {
            let count = pread(descriptor, base + offset, min(size - offset, 1 << 30), off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // The end before its size: it was cut short meanwhile.
                let error = FileError("read", path, code: count < 0 ? errno : ESTALE)
                munmap(base, size)
                throw error
            }
            offset += count
        }
        self.init(UnsafeRawPointer(base), byteCount: size, path: path, isMapped: false) {
            munmap(UnsafeMutableRawPointer(mutating: $0), size)
        }
    }

    /// Maps a whole file for reading.
    ///
    /// The file must not be truncated or overwritten while it is mapped: the process ends by SIGBUS
    /// when it reads what is no longer there. graft replaces files by renaming new ones over them.
    /// Where others do not, use ``init(reading:)``.
    public convenience init(mapping path: String) throws(FileError) {
        let (descriptor, size) = try Self.file(path)
        defer { close(descriptor) }
        guard size > 0 else {
            self.init(nil, byteCount: 0, path: path, isMapped: true) { _ in }
            return
        }
        let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let base, base != MAP_FAILED else { throw FileError("map", path) }
        graft_note_mapping(base, size, path)
        self.init(UnsafeRawPointer(base), byteCount: size, path: path, isMapped: true) {
            graft_forget_mapping($0)
            munmap(UnsafeMutableRawPointer(mutating: $0), size)
        }
    }

    /// Makes the process say which mapped file could not be read before SIGBUS ends it. For programs:
    /// it replaces the process's handler, which a library has no right to.
    package static func reportBusErrors() { graft_report_bus_errors() }

    /// Maps the first `byteCount` bytes, at least one, of a nameless file of `folder`, and takes over
    /// its descriptor: what maps it can be closed, so that many may be mapped, unless it `keepsFile`
    /// for another process to read.
    convenience init(
        mapping descriptor: Int32, byteCount: Int, in folder: String, keepsFile: Bool
    ) throws(FileError) {
        let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let base, base != MAP_FAILED else {
            let error = FileError("map a file in", folder)
            close(descriptor)
            throw error
        }
        if !keepsFile { close(descriptor) }
        self.init(
            UnsafeRawPointer(base), byteCount: byteCount,
            descriptor: keepsFile ? descriptor : nil, isMapped: true
        ) {
            munmap(UnsafeMutableRawPointer(mutating: $0), byteCount)
            if keepsFile { close(descriptor) }
        }
    }

    deinit { if let pointer { release(pointer) } }

    /// Has the system fetch what lies behind `range` of a mapped file, all at once and not page by
    /// page as it is touched.
    func populate(_ range: Range<Int>) {
        // Linux 5.14; before, it does nothing.
        let populateRead: Int32 = 22
        let page = Int(getpagesize())
        let end = (range.upperBound + page - 1) / page * page
        advise(range.lowerBound / page * page, end, populateRead)
    }

    /// Lets the system take back the memory behind `range` of a mapped file; it is read again when
    /// it is used again. That of the 2 MiB before goes too: touching the first page of a range maps
    /// the whole of the huge page that it may be in, which nobody else would let go.
    package func forget(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let start = max(0, range.lowerBound - (2 << 20)) / page * page
        advise(start, range.upperBound / page * page, Int32(MADV_DONTNEED))
    }

    /// Gives advice on the pages from `start` to `end`.
    private func advise(_ start: Int, _ end: Int, _ advice: Int32) {
        guard isMapped, let pointer, start < end else { return }
        madvise(UnsafeMutableRawPointer(mutating: pointer + start), end - start, advice)
    }

    /// Lends the bytes for the duration of `body`.
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E)
        -> R
    {
        try withExtendedLifetime(self) { () throws(E) -> R in
            try body(UnsafeRawBufferPointer(start: pointer, count: byteCount))
        }
    }
}

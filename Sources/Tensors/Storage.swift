// The bytes behind tensors: owned memory or a mapped file, shared and never changed.

import GraftSystem

/// Immutable bytes with shared ownership: freed or unmapped when the last tensor lets go.
public final class Storage: @unchecked Sendable {
    // Sendable because nothing writes to the bytes after `init`.
    private let owner: Owner
    private let start: UnsafeRawPointer?

    /// The number of bytes.
    public let byteCount: Int
    /// The file that is mapped here, if it has a name.
    public let path: String?
    /// The nameless file that is mapped here, open for another process to read.
    private let nameless: FileDescriptor?

    /// Who frees the bytes.
    private enum Owner: ~Copyable {
        case nobody
        case memory(UnsafeMutableRawBufferPointer)
        /// Memory of the system, read from a file.
        case pages(Mapping)
        case file(Mapping)

        var start: UnsafeRawPointer? {
            switch self {
            case .nobody: nil
            case .memory(let buffer): UnsafeRawPointer(buffer.baseAddress)
            case .pages(let mapping): mapping.bytes.baseAddress
            case .file(let mapping): mapping.bytes.baseAddress
            }
        }
    }

    private init(
        _ owner: consuming Owner, byteCount: Int, path: String? = nil,
        nameless: consuming FileDescriptor? = nil
    ) {
        start = owner.start
        self.owner = owner
        self.byteCount = byteCount
        self.path = path
        self.nameless = nameless
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
        self.init(.memory(buffer), byteCount: byteCount)
    }

    /// A copy of the bytes of an array.
    public convenience init<Element: BitwiseCopyable>(_ elements: [Element]) {
        self.init(byteCount: elements.count * MemoryLayout<Element>.stride) { target in
            elements.withUnsafeBytes { target.copyMemory(from: $0) }
        }
    }

    /// Opens a regular file for reading.
    private static func file(_ path: String) throws(FileError) -> FileDescriptor {
        // Without waiting: a pipe is refused below, and has no end to wait for.
        try FileDescriptor(opening: path, for: .reading, .noWait)
    }

    /// The size of a regular file.
    private static func size(of file: borrowing FileDescriptor) throws(FileError) -> Int {
        let status = try file.status()
        guard status.kind == .file else { throw FileError(.open, at: file.path, .isFolder) }
        return status.byteCount
    }

    /// Reads a whole file into memory: what happens to the file afterwards does not matter.
    public convenience init(reading path: String) throws(FileError) {
        let file = try Self.file(path)
        let size = try Self.size(of: file)
        guard size > 0 else {
            self.init(.nobody, byteCount: 0, path: path)
            return
        }
        let pages = try Mapping(zeros: size, for: path)
        let count = try file.read(into: pages.mutableBytes, at: 0)
        // The end before its size: it was cut short meanwhile.
        guard count == size else { throw FileError(.read, at: path, .stale) }
        self.init(.pages(pages), byteCount: size, path: path)
    }

    /// Maps a whole file for reading.
    ///
    /// The file must not be truncated or overwritten while it is mapped: the process ends by SIGBUS
    /// when it reads what is no longer there. graft replaces files by renaming new ones over them.
    /// Where others do not, use ``init(reading:)``.
    public convenience init(mapping path: String) throws(FileError) {
        let file = try Self.file(path)
        let size = try Self.size(of: file)
        guard size > 0 else {
            self.init(.nobody, byteCount: 0, path: path)
            return
        }
        self.init(.file(try Mapping(of: file, byteCount: size)), byteCount: size, path: path)
    }

    /// Maps the first `byteCount` bytes, at least one, of an open file that is only ever appended to.
    package convenience init(
        mapping file: borrowing FileDescriptor, byteCount: Int
    ) throws(FileError) {
        let path = file.path
        self.init(
            .file(try Mapping(of: file, byteCount: byteCount)), byteCount: byteCount, path: path)
    }

    /// Makes the process say which mapped file could not be read before SIGBUS ends it. For programs:
    /// it replaces the process's handler, which a library has no right to.
    package static func reportBusErrors() { Mapping.reportBusErrors() }

    /// Maps the first `byteCount` bytes, at least one, of a nameless file, and takes it over: what maps it can be
    /// closed, so that many may be mapped, unless it `keepsFile` for another process to read.
    convenience init(
        mapping file: consuming FileDescriptor, byteCount: Int, keepsFile: Bool
    ) throws(FileError) {
        let mapping = try Mapping(of: file, byteCount: byteCount, isNamed: false)
        if keepsFile {
            self.init(.file(mapping), byteCount: byteCount, nameless: consume file)
        } else {
            self.init(.file(mapping), byteCount: byteCount)
        }
    }

    deinit {
        switch owner {
        case .memory(let buffer): buffer.deallocate()
        default: break
        }
    }

    /// A second number of the nameless file that is mapped here, for another process; nil where there is none.
    package func duplicateOfNamelessFile() throws(FileError) -> FileDescriptor? {
        switch nameless {
        case .some(let file): try file.duplicated()
        case .none: nil
        }
    }

    /// Has the system fetch what is behind `range` of a mapped file, all at once and not page by
    /// page as it is touched.
    func populate(_ range: Range<Int>) {
        switch owner {
        case .file(let mapping): mapping.populate(range)
        default: break
        }
    }

    /// Lets the system take back the memory behind `range` of a mapped file; it is read again when
    /// it is used again.
    package func forget(_ range: Range<Int>) {
        switch owner {
        case .file(let mapping): mapping.forget(range)
        default: break
        }
    }

    /// Lends the bytes for the duration of `body`.
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E)
        -> R
    {
        try withExtendedLifetime(self) { () throws(E) -> R in
            try body(UnsafeRawBufferPointer(start: start, count: byteCount))
        }
    }
}

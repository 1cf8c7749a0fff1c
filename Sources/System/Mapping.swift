// Memory from the system: a mapped file, or pages of zeros.

internal import CGraftSystem

/// Pages of memory, given back when the value ends.
// Unchecked: the pages of a file are never written, and those of `zeros` only by who creates them.
package struct Mapping: ~Copyable, @unchecked Sendable {
    private let start: UnsafeMutableRawPointer
    private let byteCount: Int
    private let isNoted: Bool

    /// Maps the first `byteCount` bytes, at least one, of a file for reading. One that `isNamed` is named by the
    /// error that ends the process when it is truncated meanwhile (``reportBusErrors()``).
    package init(
        of file: borrowing FileDescriptor, byteCount: Int, isNamed: Bool = true
    ) throws(FileError) {
        let start: UnsafeMutableRawPointer
        do {
            start = try Self.map(
                byteCount, protection: PROT_READ, flags: MAP_PRIVATE, file: file.number,
                at: file.path)
        } catch {
            throw FileError(isNamed ? .map : .mapInside, at: file.path, error)
        }
        if isNamed { graft_note_mapping(start, byteCount, file.path) }
        self.start = start
        self.byteCount = byteCount
        isNoted = isNamed
    }

    /// Pages of zeros, for what `path` holds: from the system and not by `malloc`, so that a size that cannot be
    /// had is an error.
    package init(zeros byteCount: Int, for path: String) throws(FileError) {
        do {
            start = try Self.map(
                byteCount, protection: PROT_READ | PROT_WRITE,
                flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, file: -1, at: path)
        } catch {
            throw FileError(.makeRoom, at: path, .noMemory)
        }
        self.byteCount = byteCount
        isNoted = false
    }

    private static func map(
        _ byteCount: Int, protection: Int32, flags: Int32, file: Int32, at path: String
    ) throws(Errno) -> UnsafeMutableRawPointer {
        var start: UnsafeMutableRawPointer?
        _ = try retrying(.map, at: path) { () -> Int in
            start = mmap(nil, byteCount, protection, flags, file, 0)
            // MAP_FAILED is the address of all ones.
            return Int(bitPattern: start) == -1 || start == nil ? -1 : 0
        }
        guard let start else { throw .noMemory }
        return start
    }

    deinit {
        if isNoted { graft_forget_mapping(start) }
        munmap(start, byteCount)
    }

    /// The bytes, which live as long as the mapping.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: start, count: byteCount)
    }

    /// The bytes of ``init(zeros:for:)``, before anybody else sees them.
    package var mutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }

    /// Has the system fetch what is behind a range, all at once and not page by page as it is touched.
    package func populate(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let end = (range.upperBound + page - 1) / page * page
        // Before Linux 5.14 it does nothing.
        advise(GRAFT_MADV_POPULATE_READ, from: range.lowerBound / page * page, to: end)
    }

    /// Lets the system take back the memory behind a range; it is read again when it is used again. That of the
    /// 2 MiB before goes too: touching the first page of a range maps the whole of the huge page that it may be
    /// in, which would stay otherwise.
    package func forget(_ range: Range<Int>) {
        let page = Int(getpagesize())
        let from = max(0, range.lowerBound - (2 << 20)) / page * page
        advise(Int32(MADV_DONTNEED), from: from, to: range.upperBound / page * page)
    }

    private func advise(_ advice: Int32, from: Int, to end: Int) {
        if from < end { madvise(start + from, end - from, advice) }
    }

    /// Makes the process say which mapped file could not be read before SIGBUS ends it. For programs:
    /// it replaces the process's handler, which a library has no right to.
    package static func reportBusErrors() { graft_report_bus_errors() }
}

// Writes zip archives of stored members, through libarchive.

internal import CArchive
import GraftSystem
import GraftTensors

/// A zip archive under way: members are stored, not compressed, so that readers can map them. It appears when it
/// is finished.
final class ZipWriter {
    private let archive: OpaquePointer
    private let sink: Sink
    private var path: String { sink.file.path }

    /// The file to which libarchive's bytes go.
    private final class Sink {
        var file: AtomicFile
        private(set) var failure: FileError?

        init(replacing path: String) throws(FileError) {
            file = try AtomicFile(replacing: path)
        }

        /// How many bytes were written; -1 if they could not be.
        func write(_ bytes: UnsafeRawBufferPointer) -> Int {
            do {
                try file.write(bytes)
                return bytes.count
            } catch {
                failure = error
                return -1
            }
        }
    }

    /// Starts the archive that will replace `path`.
    init(replacing path: String) throws {
        sink = try Sink(replacing: path)
        guard let archive = archive_write_new() else {
            throw FileError(.write, at: path, .noMemory)
        }
        self.archive = archive
        try check(archive_write_set_format_zip(archive))
        try check(archive_write_set_options(archive, "zip:compression=store"))
        // Without this, the last block is padded to 10 KiB.
        archive_write_set_bytes_in_last_block(archive, 1)
        let opened = archive_write_open(
            archive, Unmanaged.passUnretained(sink).toOpaque(), nil,
            { _, sink, bytes, count in
                guard let sink else { return -1 }
                return Unmanaged<Sink>.fromOpaque(sink).takeUnretainedValue()
                    .write(UnsafeRawBufferPointer(start: bytes, count: count))
            }, nil)
        try check(opened)
    }

    deinit { archive_write_free(archive) }

    private func check(_ status: some BinaryInteger) throws {
        guard status < 0 else { return }
        if let failure = sink.failure { throw failure }
        let code = archive_errno(archive)
        throw FileError(.write, at: path, code > 0 ? Errno(code: code) : .inputOutput)
    }

    /// Adds a member of exactly `byteCount` bytes, which `fill` hands over in pieces.
    func add(
        _ name: String, byteCount: Int,
        _ fill: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw FormatError.unwritable(path: path, .memberName(name))
        }
        guard let entry = archive_entry_new() else {
            throw FileError(.write, at: path, .noMemory)
        }
        defer { archive_entry_free(entry) }
        archive_entry_update_pathname_utf8(entry, name)
        archive_entry_set_filetype(entry, 0o100000)
        archive_entry_set_perm(entry, 0o644)
        // The same tensors give the same bytes: no time of writing. Zip starts in 1980.
        archive_entry_set_mtime(entry, 315_532_800, 0)
        archive_entry_set_size(entry, Int64(byteCount))
        try check(archive_write_header(archive, entry))
        var written = 0
        try fill { piece in
            var rest = piece
            while !rest.isEmpty {
                let count = archive_write_data(archive, rest.baseAddress, min(rest.count, 1 << 24))
                try check(count)
                guard count > 0 else { throw FileError(.write, at: path, .inputOutput) }
                written += count
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
        guard written == byteCount else { throw TensorError.notAsAnnounced(name) }
    }

    /// Adds a small member.
    func add(_ name: String, _ bytes: [UInt8]) throws {
        try add(name, byteCount: bytes.count) { emit in try bytes.withUnsafeBytes { try emit($0) } }
    }

    /// Writes the directory, and puts the archive in its place.
    func finish() throws {
        try check(archive_write_close(archive))
        try sink.file.commit(durably: false)
    }
}

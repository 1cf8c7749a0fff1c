// A `.tar.zst` written member by member, through libarchive.

import CArchive
import GraftSystem
import GraftTensors

/// An archive that appears under its name only when it is complete.
final class ArchiveWriter {
    private let handle: OpaquePointer
    private let sink: Sink

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
        guard let handle = archive_write_new() else { throw ArchiveError.outOfMemory }
        self.handle = handle
        // Weights hardly compress: the fastest level costs least for the same result.
        guard archive_write_set_format_pax_restricted(handle) == ARCHIVE_OK,
            // Nothing is padded: zeros after the last frame are none of the compressed file's.
            archive_write_set_bytes_in_last_block(handle, 1) == ARCHIVE_OK,
            archive_write_add_filter_zstd(handle) == ARCHIVE_OK,
            archive_write_set_filter_option(handle, "zstd", "compression-level", "1") == ARCHIVE_OK,
            archive_write_open(
                handle, Unmanaged.passUnretained(sink).toOpaque(), nil,
                { _, sink, bytes, count in
                    guard let sink else { return -1 }
                    return Unmanaged<Sink>.fromOpaque(sink).takeUnretainedValue()
                        .write(UnsafeRawBufferPointer(start: bytes, count: count))
                }, nil) == ARCHIVE_OK
        else { throw failure() }
    }

    deinit { archive_write_free(handle) }

    /// Adds a small file.
    func add(_ bytes: [UInt8], as name: String) throws {
        try begin(name, bytes.count)
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Adds the file at `path`, which must have `byteCount` bytes and hash to `sha256`.
    func add(_ path: String, as name: String, byteCount: Int, sha256: String) throws {
        try begin(name, byteCount)
        var hasher = ContentHasher()
        try readChunks(of: path) { bytes in
            guard bytes.count <= byteCount - hasher.byteCount else {
                throw CacheError.damaged(path: path, expected: sha256, found: "a longer file")
            }
            hasher.update(bytes)
            try write(bytes)
        }
        let found = hasher.finalize()
        guard found.sha256 == sha256, found.byteCount == byteCount else {
            throw CacheError.damaged(
                path: path, expected: sha256, found: "sha256:" + found.sha256)
        }
    }

    /// Ends the archive and puts it in its place.
    func commit() throws {
        guard archive_write_close(handle) == ARCHIVE_OK else { throw failure() }
        try sink.file.commit()
    }

    private func begin(_ name: String, _ byteCount: Int) throws {
        guard let entry = archive_entry_new() else { throw ArchiveError.outOfMemory }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, 0o100000 /* AE_IFREG, a macro with a cast */)
        archive_entry_set_perm(entry, 0o644)
        archive_entry_set_size(entry, la_int64_t(byteCount))
        guard archive_write_header(handle, entry) == ARCHIVE_OK else { throw failure() }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = archive_write_data(handle, rest.baseAddress, rest.count)
            guard count > 0 else { throw failure() }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    private func failure() -> any Error {
        if let failure = sink.failure { return failure }
        let reason = archive_error_string(handle).map { String(cString: $0) } ?? "unknown"
        return ArchiveError.unwritable(archive: sink.file.path, reason: reason)
    }
}

// A `.tar.zst` written member by member, through libarchive.

import CArchive
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An archive that appears under its name only when it is complete.
final class ArchiveWriter {
    private let handle: OpaquePointer
    private var file: AtomicFile

    /// Starts the archive that will replace `path`.
    init(replacing path: String) throws {
        file = try AtomicFile(replacing: path)
        guard let handle = archive_write_new() else { throw ArchiveError("out of memory") }
        self.handle = handle
        // Weights hardly compress: the fastest level costs least for the same result.
        guard archive_write_set_format_pax_restricted(handle) == ARCHIVE_OK,
            archive_write_add_filter_zstd(handle) == ARCHIVE_OK,
            archive_write_set_filter_option(handle, "zstd", "compression-level", "1") == ARCHIVE_OK,
            archive_write_open_fd(handle, file.descriptor) == ARCHIVE_OK
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
        try file.commit()
    }

    private func begin(_ name: String, _ byteCount: Int) throws {
        guard let entry = archive_entry_new() else { throw ArchiveError("out of memory") }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, UInt32(S_IFREG as mode_t))
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
        let code = archive_errno(handle)
        if code == ENOSPC || code == EDQUOT || code == EIO {
            return FileError("write", file.path, code: code)
        }
        let reason = archive_error_string(handle).map { String(cString: $0) } ?? "unknown"
        return ArchiveError("cannot write the archive `\(file.path)`: \(reason)")
    }
}

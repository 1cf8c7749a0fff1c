// Writes zip archives of stored members, through libarchive.

internal import CArchive
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A zip archive under way: members are stored, not compressed, so that readers can map them.
final class ZipWriter {
    private let archive: OpaquePointer
    private let path: String

    /// Starts an archive at the end of an open file.
    init(_ descriptor: Int32, path: String) throws {
        guard let archive = archive_write_new() else {
            throw FileError("write", path, code: ENOMEM)
        }
        self.archive = archive
        self.path = path
        try check(archive_write_set_format_zip(archive))
        try check(archive_write_set_options(archive, "zip:compression=store"))
        // Without this, the last block is padded to 10 KiB.
        archive_write_set_bytes_in_last_block(archive, 1)
        try check(archive_write_open_fd(archive, descriptor))
    }

    deinit { archive_write_free(archive) }

    private func check(_ status: some BinaryInteger) throws {
        guard status < 0 else { return }
        let code = archive_errno(archive)
        throw FileError("write", path, code: code > 0 ? code : EIO)
    }

    /// Adds a member of exactly `byteCount` bytes, which `fill` hands over in pieces.
    func add(
        _ name: String, byteCount: Int,
        _ fill: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw FormatError.unwritable(
                path: path, reason: "nothing in it may be called `\(name)`", hint: nil)
        }
        guard let entry = archive_entry_new() else { throw FileError("write", path, code: ENOMEM) }
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
                guard count > 0 else { throw FileError("write", path, code: EIO) }
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

    /// Writes the directory.
    func finish() throws { try check(archive_write_close(archive)) }
}

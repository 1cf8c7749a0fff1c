// An archive read member by member, through libarchive: tar and zip, plain or compressed.

import CArchive
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The members of an archive, in its order. Nothing is written and no name is trusted.
final class ArchiveReader {
    /// What a member is.
    enum Kind: Equatable { case file, folder, link, device }

    /// What an archive says of a member.
    struct Member {
        let path: String
        let kind: Kind
        /// What it says that its size is; nil where it does not say.
        let byteCount: Int?
    }

    /// Where the archive is.
    let path: String
    private let handle: OpaquePointer

    /// Opens an archive.
    init(_ path: String) throws(ArchiveError) {
        guard let handle = archive_read_new() else { throw ArchiveError("out of memory") }
        self.path = path
        self.handle = handle
        archive_read_support_format_zip(handle)
        archive_read_support_format_tar(handle)
        archive_read_support_filter_gzip(handle)
        archive_read_support_filter_bzip2(handle)
        archive_read_support_filter_xz(handle)
        archive_read_support_filter_zstd(handle)
        guard archive_read_open_filename(handle, path, 1 << 18) == ARCHIVE_OK else {
            throw failure()
        }
    }

    deinit { archive_read_free(handle) }

    /// The next member; nil at the end.
    func next() throws(ArchiveError) -> Member? {
        var entry: OpaquePointer?
        let code = archive_read_next_header(handle, &entry)
        if code == ARCHIVE_EOF { return nil }
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN, let entry else { throw failure() }
        let text = archive_entry_pathname_utf8(entry) ?? archive_entry_pathname(entry)
        let name = text.map { String(cString: $0) } ?? ""
        let kind: Kind =
            if archive_entry_hardlink(entry) != nil || archive_entry_symlink(entry) != nil {
                .link
            } else {
                switch archive_entry_filetype(entry) {
                case S_IFREG: .file
                case S_IFDIR: .folder
                case S_IFLNK: .link
                default: .device
                }
            }
        let size = archive_entry_size_is_set(entry) != 0 ? Int(archive_entry_size(entry)) : nil
        return Member(path: name, kind: kind, byteCount: size)
    }

    /// Hands the bytes of the member over, a piece at a time.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = archive_read_data(handle, buffer.baseAddress, buffer.count)
            if count == 0 { return }
            guard count > 0 else { throw failure() }
            try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private func failure() -> ArchiveError {
        let reason = archive_error_string(handle).map { String(cString: $0) } ?? "unknown"
        return ArchiveError(
            "cannot read the archive `\(path)`: \(reason)",
            hint: "it is cut short or damaged; get it again")
    }
}

/// The library that reads and writes archives, as it names itself.
public enum ArchiveLibrary {
    /// `libarchive 3.6.2 zlib/1.2.13 …`.
    public static var version: String { String(cString: archive_version_details()) }
}

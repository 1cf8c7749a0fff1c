// An archive read member by member, through libarchive: tar and zip, plain or compressed.

import CArchive
import GraftSystem
import GraftTensors

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
    private let origin: Origin

    /// The file from which libarchive takes its bytes.
    private final class Origin {
        private let file: FileDescriptor
        private let byteCount: Int
        private var position = 0
        private let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: 1 << 18, alignment: 64)
        private(set) var failure: FileError?

        init(_ path: String) throws(FileError) {
            file = try FileDescriptor(opening: path)
            byteCount = try file.status().byteCount
        }

        deinit { buffer.deallocate() }

        /// The next bytes, none at the end; nil if they cannot be read.
        func read() -> UnsafeRawBufferPointer? {
            do {
                let count = try file.read(into: buffer, at: position)
                position += count
                return UnsafeRawBufferPointer(rebasing: buffer[..<count])
            } catch {
                failure = error
                return nil
            }
        }

        /// Goes to a place; nil if that is outside the file.
        func seek(to place: Int) -> Int? {
            guard place >= 0, place <= byteCount else { return nil }
            position = place
            return place
        }

        func seek(by distance: Int64, from whence: Int32) -> Int64 {
            let start =
                switch whence {
                case 0: 0  // SEEK_SET
                case 1: position
                default: byteCount
                }
            let (place, overflow) = start.addingReportingOverflow(Int(distance))
            return overflow ? -1 : seek(to: place).map { Int64($0) } ?? -1
        }

        /// Leaves bytes out; how many it left out.
        func skip(_ count: Int64) -> Int64 {
            let most = max(0, min(Int(count), byteCount - position))
            position += most
            return Int64(most)
        }
    }

    /// Opens an archive.
    init(_ path: String) throws {
        guard let handle = archive_read_new() else { throw ArchiveError.outOfMemory }
        self.path = path
        self.handle = handle
        do {
            origin = try Origin(path)
        } catch {
            archive_read_free(handle)
            throw error
        }
        archive_read_support_format_zip(handle)
        archive_read_support_format_tar(handle)
        archive_read_support_filter_gzip(handle)
        archive_read_support_filter_bzip2(handle)
        archive_read_support_filter_xz(handle)
        archive_read_support_filter_zstd(handle)
        archive_read_set_callback_data(handle, Unmanaged.passUnretained(origin).toOpaque())
        archive_read_set_read_callback(handle) { _, origin, bytes in
            guard let origin, let bytes else { return -1 }
            guard let read = Unmanaged<Origin>.fromOpaque(origin).takeUnretainedValue().read()
            else { return -1 }
            bytes.pointee = read.baseAddress
            return read.count
        }
        archive_read_set_skip_callback(handle) { _, origin, count in
            guard let origin else { return 0 }
            return Unmanaged<Origin>.fromOpaque(origin).takeUnretainedValue().skip(count)
        }
        // Zip keeps its directory at the end.
        archive_read_set_seek_callback(handle) { _, origin, distance, whence in
            guard let origin else { return -1 }
            return Unmanaged<Origin>.fromOpaque(origin).takeUnretainedValue()
                .seek(by: distance, from: whence)
        }
        guard archive_read_open1(handle) == ARCHIVE_OK else { throw failure() }
    }

    deinit { archive_read_free(handle) }

    /// The next member; nil at the end.
    func next() throws -> Member? {
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
                // AE_IFREG, AE_IFDIR and AE_IFLNK, macros with a cast.
                case 0o100000: .file
                case 0o040000: .folder
                case 0o120000: .link
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

    private func failure() -> any Error {
        if let failure = origin.failure { return failure }
        let reason = archive_error_string(handle).map { String(cString: $0) } ?? "unknown"
        return ArchiveError.unreadable(archive: path, reason: reason)
    }
}

/// The library that reads and writes archives, as it names itself.
public enum ArchiveLibrary {
    /// `libarchive 3.6.2 zlib/1.2.13 …`.
    public static var version: String { String(cString: archive_version_details()) }
}

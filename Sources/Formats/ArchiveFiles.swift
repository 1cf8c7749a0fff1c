// The files of an archive, unpacked by libarchive: names that lead elsewhere and endless contents are refused.

internal import CArchive
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Unpacks zip and tar archives, compressed or not.
package enum ArchiveFiles {
    /// libarchive's `AE_IFREG`, a macro that is not imported.
    private static let regularFile: mode_t = 0o100000
    private static let countLimit = 20_000_000

    /// Unpacks the regular files of an archive into a folder.
    ///
    /// - Parameters:
    ///   - limit: The number of bytes that all files may have.
    ///   - admits: Whether the file of a name is wanted.
    /// - Throws: `FormatError` for a broken archive, an unsafe name or too many bytes, or `FileError`.
    package static func unpack(
        _ path: String, into folder: String, limit: Int, where admits: (String) -> Bool
    ) throws {
        let source = Source(path: path, format: "archive")
        guard let archive = archive_read_new() else { throw source.malformed("out of memory") }
        defer { archive_read_free(archive) }
        archive_read_support_filter_all(archive)
        archive_read_support_format_zip(archive)
        archive_read_support_format_tar(archive)
        func failure() -> FormatError {
            let reason = archive_error_string(archive).map { String(cString: $0) } ?? "cut short"
            return source.malformed(reason)
        }
        let opened = PathBytes.withCString(path) {
            archive_read_open_filename(archive, $0, 1 << 16)
        }
        guard opened == ARCHIVE_OK else { throw failure() }
        var left = limit
        var count = 0
        var entry: OpaquePointer?
        while true {
            let status = archive_read_next_header(archive, &entry)
            if status == ARCHIVE_EOF { break }
            guard status >= ARCHIVE_WARN, let entry else { throw failure() }
            count += 1
            guard count <= countLimit else {
                throw source.malformed("it has more than \(countLimit) files")
            }
            guard archive_entry_filetype(entry) == regularFile else { continue }
            // In a locale without UTF-8 only one of the two may be there.
            guard let raw = archive_entry_pathname_utf8(entry) ?? archive_entry_pathname(entry)
            else {
                throw source.malformed("the name of its file \(count) cannot be read")
            }
            let name = PathBytes.string(UnsafeRawBufferPointer(start: raw, count: strlen(raw)))
            let parts = name.split(separator: "/").filter { $0 != "." }
            guard !parts.isEmpty, !name.hasPrefix("/"), !parts.contains("..") else {
                throw source.malformed("`\(name)` leads out of the archive")
            }
            guard admits(name) else { continue }
            guard archive_entry_is_encrypted(entry) == 0 else {
                throw source.unsupported("`\(name)` is encrypted", hint: "unpack it first")
            }
            try makeFolders(parts.dropLast().map(String.init), in: folder)
            try write(archive, to: folder + "/" + parts.joined(separator: "/"), &left, source)
            guard left >= 0 else {
                throw source.unsupported(
                    "it unpacks to more than \(limit) bytes", hint: "unpack it first")
            }
        }
    }

    private static func makeFolders(_ parts: [String], in folder: String) throws {
        var path = folder
        for part in parts {
            path += "/" + part
            if PathBytes.withCString(path, { mkdir($0, 0o700) }) != 0, errno != EEXIST {
                throw FileError("create", path)
            }
        }
    }

    private static func write(
        _ archive: OpaquePointer, to path: String, _ left: inout Int, _ source: Source
    ) throws {
        let file = PathBytes.withCString(path) {
            // Links are not followed: none is made here, and nobody else may put one.
            open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        guard file >= 0 else { throw FileError("create", path) }
        defer { close(file) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
            if count == 0 { return }
            guard count > 0 else {
                let reason =
                    archive_error_string(archive).map { String(cString: $0) } ?? "cut short"
                throw source.malformed(reason)
            }
            left -= count
            guard left >= 0 else { return }
            var written = 0
            while written < count {
                let step = unistdWrite(
                    file, buffer.baseAddress?.advanced(by: written), count - written)
                if step < 0, errno == EINTR { continue }
                guard step > 0 else { throw FileError("write", path) }
                written += step
            }
        }
    }
}

/// The system's `write`, which has the name of a function here.
private func unistdWrite(_ file: Int32, _ start: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    write(file, start, count)
}

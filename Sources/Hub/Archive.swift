// One file out of a wheel or a source archive, through libarchive.

import CArchive
import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum Archive {
    /// No weight file is larger; a bomb is.
    private static let limit = 16 << 30

    /// Extracts the member whose path is, or ends in, `name`; returns its file name and its sums.
    static func extract(_ name: String, from path: String, to destination: String) throws
        -> (name: String, sums: ContentSums)
    {
        let names = try list(path)
        var matches = names.filter { $0 == name }
        if matches.isEmpty { matches = names.filter { $0.hasSuffix("/" + name) } }
        guard matches.count == 1, let member = matches.first else {
            let shown = (matches.isEmpty ? names : matches).prefix(12).map { "`\($0)`" }
            throw HubError(
                matches.isEmpty
                    ? "`\(path)` holds no file `\(name)`"
                    : "`\(name)` names \(matches.count) files",
                hint: "it holds " + shown.joined(separator: ", "))
        }
        let fileName = member.split(separator: "/").last.map(String.init) ?? ""
        guard Files.isPlainName(fileName) else { throw HubError("`\(member)` is not a file name") }
        let archive = try open(path)
        defer { archive_read_free(archive) }
        while let found = try next(archive, path) {
            guard found == member else { continue }
            do {
                return (fileName, try write(archive, path, member, to: destination))
            } catch {
                unlink(destination)
                throw error
            }
        }
        throw HubError("`\(path)` holds no file `\(name)`")
    }

    /// The paths of the regular files.
    private static func list(_ path: String) throws -> [String] {
        let archive = try open(path)
        defer { archive_read_free(archive) }
        var names: [String] = []
        while let name = try next(archive, path) {
            if !name.isEmpty { names.append(name) }
            guard names.count < 1_000_000 else { throw HubError("`\(path)` holds too many files") }
        }
        return names
    }

    private static func open(_ path: String) throws -> OpaquePointer {
        guard let archive = archive_read_new() else { throw HubError("out of memory") }
        archive_read_support_format_zip(archive)
        archive_read_support_format_tar(archive)
        archive_read_support_filter_gzip(archive)
        archive_read_support_filter_bzip2(archive)
        archive_read_support_filter_xz(archive)
        guard archive_read_open_filename(archive, path, 1 << 16) == ARCHIVE_OK else {
            defer { archive_read_free(archive) }
            throw failure(archive, path)
        }
        return archive
    }

    /// The next member: its path, empty where it is not a regular file; nil at the end.
    private static func next(_ archive: OpaquePointer, _ path: String) throws -> String? {
        var entry: OpaquePointer?
        let code = archive_read_next_header(archive, &entry)
        if code == ARCHIVE_EOF { return nil }
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN, let entry else {
            throw failure(archive, path)
        }
        guard archive_entry_filetype(entry) == S_IFREG, let name = archive_entry_pathname(entry)
        else { return "" }
        return String(cString: name)
    }

    private static func write(
        _ archive: OpaquePointer, _ path: String, _ member: String, to destination: String
    ) throws -> ContentSums {
        var file = try AtomicFile(replacing: destination)
        var hasher = ContentHasher()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
            if count == 0 { break }
            guard count > 0 else { throw failure(archive, path) }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hasher.update(bytes)
            guard hasher.byteCount <= limit else {
                throw HubError("`\(member)` in `\(path)` is larger than \(limit) bytes")
            }
            try file.write(bytes)
        }
        try file.commit()
        return hasher.finalize()
    }

    private static func failure(_ archive: OpaquePointer, _ path: String) -> HubError {
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "unknown"
        return HubError("cannot read the archive `\(path)`: \(reason)")
    }
}

func removeFile(_ path: String) throws(FileError) {
    guard unlink(path) == 0 else { throw FileError("remove", path) }
}

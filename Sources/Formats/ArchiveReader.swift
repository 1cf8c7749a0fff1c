// The entries of an archive in memory, one after the other, by libarchive.

internal import CArchive
import GraftSystem
import GraftTensors

/// A file or link of an archive, by the name that the archive gives it.
struct ArchiveEntry: Equatable {
    /// What an entry is; anything else, such as a folder or a device, is passed over.
    enum Kind: Equatable {
        case file
        /// The same file as an earlier entry of this name.
        case sameFile(as: String)
        /// A symbolic link.
        case link(to: String)
    }

    let name: String
    let kind: Kind
    let isEncrypted: Bool
}

/// Walks zip and tar archives, compressed or not.
enum ArchiveReader {
    /// libarchive's `AE_IFREG` and `AE_IFLNK`, macros that are not imported.
    private static let regularFile: UInt32 = 0o100000
    private static let symbolicLink: UInt32 = 0o120000
    /// libarchive's `ARCHIVE_FORMAT_ZIP`, a macro that is not imported.
    private static let zipFormat: Int32 = 0x5_0000
    private static let countLimit = 20_000_000
    /// The most bytes that are handed over at a time.
    static let pieceSize = 1 << 18

    /// Opens what ``read(_:_:entry:piece:)`` needs of the system, before the process can open no files.
    static func prepare() { TextLocale.prepare() }

    /// Reads an archive.
    ///
    /// - Parameters:
    ///   - entry: Takes an entry, and says whether the bytes of the file are wanted.
    ///   - piece: Takes bytes of the file that was wanted last, in their order.
    static func read(
        _ bytes: UnsafeRawBufferPointer, _ source: Source, entry: (ArchiveEntry) throws -> Bool,
        piece: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try TextLocale.whileInUse {
            try readEntries(bytes, source, entry: entry, piece: piece)
        }
    }

    private static func readEntries(
        _ bytes: UnsafeRawBufferPointer, _ source: Source, entry: (ArchiveEntry) throws -> Bool,
        piece: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let archive = archive_read_new() else {
            throw source.malformed(.archive(.outOfMemory))
        }
        defer { archive_read_free(archive) }
        archive_read_support_filter_all(archive)
        archive_read_support_format_zip(archive)
        archive_read_support_format_tar(archive)
        func failure() -> FormatError {
            let reason = archive_error_string(archive).map { String(cString: $0) } ?? "cut short"
            return source.malformed(.archive(.unreadable(reason: reason)))
        }
        guard archive_read_open_memory(archive, bytes.baseAddress, bytes.count) == ARCHIVE_OK else {
            throw failure()
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
        defer { buffer.deallocate() }
        var count = 0
        var header: OpaquePointer?
        while true {
            let status = archive_read_next_header(archive, &header)
            if status == ARCHIVE_EOF { return }
            guard status >= ARCHIVE_WARN, let header else { throw failure() }
            count += 1
            guard count <= countLimit else {
                throw source.malformed(.archive(.tooManyFiles(limit: countLimit)))
            }
            let isZip = archive_format(archive) & 0xFF_0000 == zipFormat
            guard let found = try self.entry(header, number: count, isZip: isZip, source),
                try entry(found)
            else { continue }
            while true {
                let read = archive_read_data(archive, buffer.baseAddress, buffer.count)
                if read == 0 { break }
                guard read > 0 else { throw failure() }
                try piece(UnsafeRawBufferPointer(rebasing: buffer[..<read]))
            }
        }
    }

    private static func entry(
        _ header: OpaquePointer, number: Int, isZip: Bool, _ source: Source
    ) throws -> ArchiveEntry? {
        func text(_ raw: UnsafePointer<CChar>?) -> String? {
            raw.map { start in
                let name = PathBytes.string(ofCString: start)
                return isZip && PathBytes.isRaw(name) ? codePage437(PathBytes.bytes(name)) : name
            }
        }
        let kind: ArchiveEntry.Kind
        // In a locale without UTF-8 only one of the two may be there.
        if let first = text(
            archive_entry_hardlink_utf8(header) ?? archive_entry_hardlink(header))
        {
            kind = .sameFile(as: first)
        } else if archive_entry_filetype(header) == symbolicLink {
            let target = archive_entry_symlink_utf8(header) ?? archive_entry_symlink(header)
            kind = .link(to: text(target) ?? "")
        } else if archive_entry_filetype(header) == regularFile {
            kind = .file
        } else {
            return nil
        }
        guard let name = text(archive_entry_pathname_utf8(header) ?? archive_entry_pathname(header))
        else {
            throw source.malformed(.archive(.unreadableName(file: number)))
        }
        return ArchiveEntry(
            name: name, kind: kind, isEncrypted: archive_entry_is_encrypted(header) != 0)
    }

    /// The upper half of code page 437, which names in zip archives have that are no UTF-8.
    private static let upperHalf = Array(
        ("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
            + "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}").unicodeScalars)

    private static func codePage437(_ bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes {
            text.append(byte < 128 ? Unicode.Scalar(byte) : upperHalf[Int(byte) - 128])
        }
        return String(text)
    }
}

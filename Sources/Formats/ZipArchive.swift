// The members of a zip archive: stored ones in place, deflated ones through libarchive.

internal import CArchive
import GraftSystem
import GraftTensors
import OrderedCollections

/// The central directory of a mapped zip archive (APPNOTE 6.3.9, with zip64).
struct ZipArchive: Sendable {
    struct Member: Sendable {
        let name: String
        let method: UInt16
        let storedCount: Int
        let count: Int
        /// Where the local header starts.
        let offset: Int
    }

    private static let textLimit = 100_000_000
    /// How many bytes are inflated at a time.
    static let pieceSize = 1 << 20

    let members: OrderedDictionary<String, Member>
    let storage: Storage
    let source: Source
    /// Inflates in a process of its own; nil if nothing is compressed, or where this one may.
    private let inflater: InflateProcess?

    /// Reads the directory. Compressed members are inflated where `isolation` says; a library's
    /// default, which decodes nothing of HDF5, inflates here.
    init(_ storage: Storage, _ source: Source, _ isolation: Isolation) throws {
        self.storage = storage
        self.source = source
        let members: OrderedDictionary<String, Member> = try storage.withBytes { bytes in
            var cursor = try ZipArchive.directory(bytes, source)
            var members: OrderedDictionary<String, Member> = [:]
            // Members that share bytes would make many times the file of it.
            var left = bytes.count
            for _ in 0..<cursor.count {
                let member = try ZipArchive.member(&cursor.cursor)
                left -= min(member.storedCount, bytes.count + 1)
                guard left >= 0 else {
                    throw source.malformed(.zip(.overlap))
                }
                guard members.updateValue(member, forKey: member.name) == nil else {
                    throw source.malformed(.zip(.duplicate(member: member.name)))
                }
            }
            return members
        }
        self.members = members
        if case .process(let program) = isolation,
            members.values.contains(where: { $0.method == 8 })
        {
            inflater = try InflateProcess(program, storage, source)
        } else {
            inflater = nil
        }
    }

    /// The start of the central directory and its number of entries.
    private static func directory(_ bytes: UnsafeRawBufferPointer, _ source: Source) throws
        -> (cursor: ByteCursor, count: Int)
    {
        // The end record is 22 bytes and a comment of up to 64 KiB.
        var end = bytes.count - 22
        let first = max(0, end - 0xFFFF)
        while end >= first,
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt32.self))
                != 0x0605_4B50
        {
            end -= 1
        }
        guard end >= first else { throw source.malformed(.zip(.noEndRecord)) }
        var cursor = try ByteCursor(bytes, at: end + 10, in: source)
        var count = try cursor.size(UInt16.self)
        _ = try cursor.take(4)
        var offset = try cursor.size(UInt32.self)
        if count == 0xFFFF || offset == 0xFFFF_FFFF {
            try cursor.seek(to: end - 20)
            guard try cursor.integer(UInt32.self) == 0x0706_4B50 else {
                throw source.malformed(.zip(.noZip64EndRecord))
            }
            _ = try cursor.take(4)
            try cursor.seek(to: try cursor.size(UInt64.self))
            guard try cursor.integer(UInt32.self) == 0x0606_4B50 else {
                throw source.malformed(.zip(.noZip64EndRecord))
            }
            _ = try cursor.take(28)
            count = try cursor.size(UInt64.self)
            _ = try cursor.take(8)
            offset = try cursor.size(UInt64.self)
        }
        try cursor.seek(to: offset)
        guard count <= cursor.remaining / 46 else {
            throw source.malformed(.zip(.memberCount(count)))
        }
        return (cursor, count)
    }

    private static func member(_ cursor: inout ByteCursor) throws -> Member {
        let source = cursor.source
        guard try cursor.integer(UInt32.self) == 0x0201_4B50 else {
            throw source.malformed(.zip(.noEntry(at: cursor.offset - 4)))
        }
        _ = try cursor.take(4)
        let flags = try cursor.integer(UInt16.self)
        let method = try cursor.integer(UInt16.self)
        _ = try cursor.take(8)
        var storedCount = try cursor.size(UInt32.self)
        var count = try cursor.size(UInt32.self)
        let nameCount = try cursor.size(UInt16.self)
        let extraCount = try cursor.size(UInt16.self)
        let commentCount = try cursor.size(UInt16.self)
        _ = try cursor.take(8)
        var offset = try cursor.size(UInt32.self)
        let name = try cursor.text(nameCount)
        var extra = try ByteCursor(try cursor.take(extraCount), in: source)
        _ = try cursor.take(commentCount)
        while extra.remaining >= 4 {
            let tag = try extra.integer(UInt16.self)
            var field = try ByteCursor(try extra.take(try extra.size(UInt16.self)), in: source)
            guard tag == 1 else { continue }
            if count == 0xFFFF_FFFF { count = try field.size(UInt64.self) }
            if storedCount == 0xFFFF_FFFF { storedCount = try field.size(UInt64.self) }
            if offset == 0xFFFF_FFFF { offset = try field.size(UInt64.self) }
        }
        guard flags & 1 == 0 else { throw source.unsupported(.encrypted(member: name)) }
        return Member(
            name: name, method: method, storedCount: storedCount, count: count, offset: offset)
    }

    /// Where the bytes of a member lie in the file.
    private func span(_ member: Member) throws -> Range<Int> {
        try storage.withBytes { bytes in
            var cursor = try ByteCursor(bytes, at: member.offset, in: source)
            guard try cursor.integer(UInt32.self) == 0x0403_4B50 else {
                throw source.malformed(.zip(.noLocalHeader(member: member.name)))
            }
            _ = try cursor.take(22)
            let nameCount = try cursor.size(UInt16.self)
            let extraCount = try cursor.size(UInt16.self)
            _ = try cursor.take(nameCount + extraCount)
            let start = cursor.offset
            _ = try cursor.take(member.storedCount)
            return start..<cursor.offset
        }
    }

    /// A member's bytes: in place if they are stored, inflated otherwise; `forAProcess` into a file
    /// that another process can read.
    func content(_ member: Member, forAProcess: Bool = false) throws -> (
        storage: Storage, range: Range<Int>
    ) {
        let span = try check(member)
        if member.method == 0 { return (storage, span) }
        return (try inflate(member, member.count, forAProcess), 0..<member.count)
    }

    /// Where a member lies in the file, if it is as large as the directory says and can be read.
    @discardableResult func check(_ member: Member) throws -> Range<Int> {
        let span = try span(member)
        if member.method == 0 {
            guard member.count == member.storedCount else {
                throw source.malformed(.zip(.storedSize(member: member.name)))
            }
            return span
        }
        guard member.method == 8 else {
            throw source.unsupported(
                .compression(member: member.name, method: Int(member.method)))
        }
        // Deflate makes at most 1032 bytes of one, and of gigabytes of weights hardly ever a hundred.
        let limit = member.count > 1 << 30 ? 100 : 1032
        guard member.count / limit <= member.storedCount + 1 else {
            throw source.malformed(
                .zip(
                    .inflation(
                        member: member.name, from: member.storedCount, to: member.count)))
        }
        return span
    }

    /// The first bytes of a member, at most `limit`.
    func beginning(_ member: Member, limit: Int) throws -> (storage: Storage, range: Range<Int>) {
        guard member.method == 8, member.count > limit else { return try content(member) }
        _ = try span(member)
        return (try inflate(member, limit, false), 0..<limit)
    }

    private func inflate(_ member: Member, _ count: Int, _ keepsFile: Bool) throws -> Storage {
        let spool = try Spool(byteCount: count)
        var filled = 0
        func take(_ piece: UnsafeRawBufferPointer) throws {
            try spool.put(piece, at: filled)
            filled += piece.count
        }
        do {
            if let inflater {
                try inflater.inflate(at: member.offset, count: count, take)
            } else {
                try Self.inflate(storage, at: member.offset, count: count, source, take)
            }
        } catch FormatError.malformed(_, _, .zip(let flaw)) {
            throw source.malformed(.zip(flaw.named(member.name)))
        }
        return try spool.finish(keepsFile: keepsFile)
    }

    /// Hands over the first `count` bytes of the member whose local header is at `offset`, in pieces
    /// of ``pieceSize``. A streaming reader that starts there needs no other member.
    static func inflate(
        _ storage: Storage, at offset: Int, count: Int, _ source: Source,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard let archive = archive_read_new() else { throw source.malformed(.zip(.outOfMemory)) }
        defer { archive_read_free(archive) }
        archive_read_support_format_zip_streamable(archive)
        try storage.withBytes { bytes in
            guard offset <= bytes.count else { throw source.malformed(.zip(.outside(member: nil))) }
            func fail() -> FormatError {
                let reason =
                    archive_error_string(archive).map { String(cString: $0) } ?? "too short"
                return source.malformed(.zip(.notInflating(member: nil, reason: reason)))
            }
            var entry: OpaquePointer?
            let slice = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            guard
                archive_read_open_memory(archive, slice.baseAddress, slice.count) == ARCHIVE_OK,
                archive_read_next_header(archive, &entry) >= ARCHIVE_WARN
            else { throw fail() }
            let buffer = Spool.buffer(pieceSize)
            defer { buffer.deallocate() }
            var left = count
            while left > 0 {
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(left, pieceSize)])
                var filled = 0
                while filled < piece.count {
                    let count = archive_read_data(
                        archive, piece.baseAddress?.advanced(by: filled), piece.count - filled)
                    guard count > 0 else { throw fail() }
                    filled += count
                }
                try body(UnsafeRawBufferPointer(piece))
                left -= piece.count
                // What was inflated from the mapped file is not needed again.
                storage.forget(0..<storage.byteCount)
            }
            // At the end of a member its checksum is compared.
            guard archive_read_data(archive, buffer.baseAddress, 1) >= 0 else { throw fail() }
        }
    }

    /// The bytes of a member as text: a configuration, not weights.
    func text(_ member: Member) throws -> String {
        guard member.count <= Self.textLimit else {
            throw source.malformed(
                .zip(
                    .longText(
                        member: member.name, found: member.count, limit: Self.textLimit)))
        }
        let (storage, range) = try content(member)
        return storage.withBytes { String(decoding: $0[range], as: UTF8.self) }
    }
}

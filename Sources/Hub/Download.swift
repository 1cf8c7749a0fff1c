// One URL into one verified file: resumed, hashed while it arrives, thrown away when it is wrong.

import FoundationEssentials
import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A download into a partial file, which stays for the next attempt until it is complete.
struct Download {
    let http: HTTP
    let location: Location
    let partial: String
    var digest: GraftCache.Digest?
    var authorization: String?
    var progress: (@Sendable (Int64, Int64?) -> Void)?

    /// What is known of the bytes in the partial file.
    private struct Journal: Codable {
        var url: String
        var etag: String?
        var total: Int?
    }

    /// Downloads what is missing; the partial file is then complete, proven and flushed.
    func run() throws -> ContentSums {
        let file = open(partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard file >= 0 else { throw FileError("open", partial) }
        defer { close(file) }
        var resumed = false
        var sums = try http.retrying(progress: { Files.size(of: partial) ?? 0 }) {
            try attempt(file, &resumed)
        }
        if let digest, !digest.matches(sums), resumed {
            // The kept bytes may be those of an older file: once more, from nothing.
            try truncate(file)
            sums = try http.retrying { try attempt(file, &resumed) }
        }
        if let digest, !digest.matches(sums) {
            discard()
            throw HubError.wrongDigest(
                location.text, expected: digest.description, found: digest.found(sums))
        }
        guard fsync(file) == 0 else { throw FileError("write", partial) }
        unlink(journalPath)
        return sums
    }

    /// Forgets what arrived.
    func discard() {
        unlink(partial)
        unlink(journalPath)
    }

    private var journalPath: String { partial + ".json" }

    private func attempt(_ file: Int32, _ resumed: inout Bool) throws -> ContentSums {
        var hasher = ContentHasher()
        var journal = readJournal()
        var headers: [String] = []
        let kept = Files.size(of: partial) ?? 0
        // Bytes are kept only where something tells that they belong to the same file.
        if kept > 0, let known = journal, known.etag != nil || digest != nil {
            hasher = try ContentHasher.over(partial, limit: kept)
            headers.append("Range: bytes=\(kept)-")
            if let etag = known.etag { headers.append("If-Range: " + etag) }
        } else {
            try truncate(file)
        }
        lseek(file, off_t(hasher.byteCount), SEEK_SET)
        resumed = hasher.byteCount > 0
        var isBegun = false
        let start = hasher.byteCount
        func begin(_ head: Head) throws {
            guard !isBegun else { return }
            isBegun = true
            let length = head.fields["content-length"].flatMap { Int($0) }
            if head.status == 206 {
                let (first, total) = try contentRange(head)
                guard start > 0, first == start, journal?.total == nil || total == journal?.total
                else {
                    try truncate(file)
                    throw TransientError(
                        reason: HubError(
                            "`\(location.text)` answered with other bytes than asked for"))
                }
                journal?.total = total
            } else {
                // The whole file, whatever was asked for.
                try truncate(file)
                lseek(file, 0, SEEK_SET)
                hasher = ContentHasher()
                resumed = false
                let etag = head.fields["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }
                journal = Journal(url: location.text, etag: etag, total: length)
            }
            if let journal {
                try Files.write(Array(try JSONEncoder().encode(journal)), to: journalPath)
            }
        }
        let head = try http.get(location, headers: headers, authorization: authorization) {
            head, bytes in
            try begin(head)
            try write(bytes, to: file)
            hasher.update(bytes)
            progress?(Int64(hasher.byteCount), journal?.total.map { Int64($0) })
        }
        if head.status == 416 {
            let total = head.fields["content-range"]?.split(separator: "/").last.flatMap { Int($0) }
            guard start > 0, total == start else {
                try truncate(file)
                throw TransientError(
                    reason: HubError("`\(location.text)` has no bytes after \(start)"))
            }
            return hasher.finalize()
        }
        try begin(head)
        if let total = journal?.total, total != hasher.byteCount {
            throw TransientError(
                reason: HubError(
                    "`\(location.text)` ended early: expected \(total) bytes, found \(hasher.byteCount)"
                ))
        }
        return hasher.finalize()
    }

    /// The first byte and the total of `Content-Range: bytes 5-9/10`.
    private func contentRange(_ head: Head) throws -> (first: Int, total: Int?) {
        let text = head.fields["content-range"] ?? ""
        let parts = text.split { " -/".contains($0) }
        guard parts.count == 4, parts[0] == "bytes", let first = Int(parts[1]) else {
            throw HubError("`\(location.text)` answered with the range `\(text)`")
        }
        return (first, Int(parts[3]))
    }

    private func readJournal() -> Journal? {
        guard let bytes = Files.read(journalPath, limit: 1 << 16),
            let journal = try? JSONDecoder().decode(Journal.self, from: Data(bytes)),
            journal.url == location.text
        else { return nil }
        return journal
    }

    private func truncate(_ file: Int32) throws {
        guard ftruncate(file, 0) == 0 else { throw FileError("truncate", partial) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, to file: Int32) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(file, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FileError("write", partial) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}

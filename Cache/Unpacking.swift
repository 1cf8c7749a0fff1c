// An archive as a folder: plain files and folders only, below one folder only, up to a size only.

import GraftSystem
import GraftTensors

/// Writes archives of strangers to the disk.
enum Unpacking {
    /// What was written.
    struct Listing: Sendable, Codable, Equatable {
        struct File: Sendable, Codable, Equatable {
            let byteCount: Int
            let sha256: String
        }
        /// The files, by their path in the folder.
        var files = ByPath<File>()
    }

    /// How much an archive may become: what the smallest ones may always, what they may grow by, and
    /// what none may.
    struct Limit: Sendable {
        var floor = 256 << 20
        var factor = 200
        var ceiling = 64 << 30
        var members = 100_000

        func bytes(_ archive: Int) -> Int {
            let (product, overflow) = archive.multipliedReportingOverflow(by: factor)
            return min(ceiling, max(floor, overflow ? .max : product))
        }
    }

    /// Unpacks into `folder`, which must be new; the caller removes it where this throws.
    ///
    /// Refused are paths that lead elsewhere, links of both kinds, devices, the same path twice, files
    /// that are folders too, and more bytes or members than `limit` says.
    static func unpack(
        _ archive: String, into folder: String, limit: Limit = Limit()
    ) throws -> Listing {
        guard let size = Files.size(of: archive) else {
            throw FileError(.open, at: archive, .noSuchFile)
        }
        let allowed = limit.bytes(size)
        var listing = Listing()
        var folders: Set<ExactText> = []
        var (total, count) = (0, 0)
        func refused(_ member: String, _ flaw: ArchiveFlaw) -> ArchiveError {
            .refused(archive: archive, member: member, flaw)
        }
        let reader = try ArchiveReader(archive)
        try Files.makeFolder(folder)
        while let member = try reader.next() {
            count += 1
            guard count <= limit.members else {
                throw ArchiveError.tooLarge(archive: archive, .members(limit.members))
            }
            switch member.kind {
            case .link: throw refused(member.path, .link)
            case .device: throw refused(member.path, .device)
            case .file, .folder: break
            }
            guard let path = plain(member.path, isFolder: member.kind == .folder) else {
                throw refused(member.path, .leadsOut)
            }
            if member.kind == .folder {
                guard !path.isEmpty else { continue }
                guard listing.files[path] == nil else {
                    throw refused(path, .alsoFile)
                }
                folders.insert(ExactText(path))
                _ = try Folders.open(folder, parentOf: path + "/.")
                continue
            }
            guard listing.files[path] == nil, !folders.contains(ExactText(path)) else {
                throw refused(path, .twice)
            }
            if let size = member.byteCount, size > allowed - total {
                throw ArchiveError.tooLarge(archive: archive, .bytes(allowed))
            }
            // The folders above, none of which may be a file.
            var above = path
            while let parent = above.pathParent {
                above = parent
                guard listing.files[above] == nil else {
                    throw refused(path, .insideFile(nil))
                }
                folders.insert(ExactText(above))
            }
            _ = try Folders.open(folder, parentOf: path)
            var file = try AtomicFile(replacing: "\(folder)/\(path)")
            var hasher = ContentHasher()
            try reader.forEachPiece { bytes in
                total += bytes.count
                guard total <= allowed else {
                    throw ArchiveError.tooLarge(archive: archive, .bytes(allowed))
                }
                hasher.update(bytes)
                try file.write(bytes)
            }
            let sums = hasher.finalize()
            if let size = member.byteCount, size != sums.byteCount {
                throw ArchiveError.truncatedMember(
                    archive: archive, member: path, expected: size, found: sums.byteCount)
            }
            try file.commit()
            listing.files[path] = Listing.File(byteCount: sums.byteCount, sha256: sums.sha256)
        }
        guard !listing.files.isEmpty else {
            throw ArchiveError.empty(archive: archive)
        }
        return listing
    }

    /// A member's path without the `./` before it and the `/` behind it; nil where it leads elsewhere.
    private static func plain(_ name: String, isFolder: Bool) -> String? {
        var path = name[...]
        while path.hasPrefix("./") { path = path.dropFirst(2) }
        if isFolder {
            while path.hasSuffix("/") { path = path.dropLast() }
            if path.isEmpty || path == "." { return name.hasPrefix("/") ? nil : "" }
        }
        return RelativePath.isSafe(String(path)) ? String(path) : nil
    }
}

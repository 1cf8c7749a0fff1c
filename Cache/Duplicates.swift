// The same bytes under several names: stored once, by hard links.

import GraftSystem
import GraftTensors

/// Files of the caches that are called by the same SHA-256 and take room more than once.
public struct Duplicates: Sendable {
    /// One content: the file that stays, and those that become further names of it.
    public struct Group: Sendable {
        /// 64 hex digits.
        public let sha256: String
        /// The size of the content.
        public let byteCount: Int
        /// Absolute paths; the first one stays.
        public let paths: [String]
    }

    /// All of them.
    public let groups: [Group]

    /// Looks for duplicates in an inventory: blobs of the Hub and graft's own content.
    public init(of inventory: Inventory) {
        var files: [String: [(path: String, file: StoredFile)]] = [:]
        for repository in inventory.repositories {
            for file in repository.files
            where file.sharedTarget == nil {
                guard let name = file.blobName, name.utf8.count == 64,
                    name.utf8.allSatisfy(Hex.isDigit)
                else { continue }
                files[name, default: []].append(("\(repository.folder)/\(file.path)", file))
            }
        }
        var seen: Set<String> = []
        for entry in inventory.entries {
            let path = inventory.cache.path(of: entry)
            guard seen.insert(path).inserted, let file = StoredFile(path) else { continue }
            files[entry.sha256, default: []].append((path, file))
        }
        groups = files.sorted { $0.key < $1.key }.compactMap { sha256, files in
            guard let first = files.first, first.file.byteCount > 0 else { return nil }
            // Links do not cross file systems, and what is linked already is no duplicate.
            var inodes: Set<StoredFile.Inode> = [first.file.inode]
            let others = files.dropFirst().filter {
                $0.file.inode.device == first.file.inode.device
                    && $0.file.byteCount == first.file.byteCount && $0.file.links == 1
                    && inodes.insert($0.file.inode).inserted
            }
            guard !others.isEmpty else { return nil }
            return Group(
                sha256: sha256, byteCount: first.file.byteCount,
                paths: [first.path] + others.map(\.path))
        }
    }

    /// The bytes that linking frees.
    public var byteCount: Int {
        groups.flatMap { group in group.paths.dropFirst().map { _ in group.byteCount } }.clampedSum
    }

    /// Links them; the bytes freed. What stays is hashed first, so that damage does not spread.
    public func link() throws -> Int {
        var freed = 0
        for group in groups {
            guard let first = group.paths.first,
                try FileDigest.sha256(first) == group.sha256
            else { continue }
            for path in group.paths.dropFirst() where try Files.replace(path, byLinkTo: first) {
                freed += group.byteCount
            }
        }
        return freed
    }
}

extension Files {
    /// Makes `path` another name of `original`; false where the file system has no hard links.
    static func replace(_ path: String, byLinkTo original: String) throws(FileError) -> Bool {
        // Ends in `.incomplete` so that whoever prunes sweeps it up after a crash.
        let temporary = "\(path).\(String(UInt32.random(in: 0 ... .max), radix: 16)).incomplete"
        guard (try? FileSystem.link(original, to: temporary)) != nil else { return false }
        try move(temporary, to: path)
        return true
    }
}

extension Cache {
    /// A file with this SHA-256 and size that is here already, in graft's own cache or in the Hub's.
    public func file(sha256: String, byteCount: Int, hub: HubScanner = HubScanner()) -> String? {
        let folder = "\(root)/blobs/sha256/\(sha256)"
        let own = Files.names(in: folder).map { "\(folder)/\($0)" }
        let blobs = Files.names(in: hub.root).filter { HubRepository.parse(folderName: $0) != nil }
            .lazy.map { "\(hub.root)/\($0)/blobs/\(sha256)" }
        return own.first { Files.size(of: $0) == byteCount }
            ?? blobs.first { Files.size(of: $0) == byteCount }
    }
}

// Caches that were cut short, edited or lost a disk: what is wrong is found, and removed, so that the
// next fetch brings it anew and every other program accepts the rest.

import GraftSystem
import GraftTensors

/// The flaws of both caches.
public struct Repair {
    /// All of them, in the order in which ``execute()`` mends them.
    public let flaws: [Flaw]
    /// Repositories that another program is writing, which are left alone.
    public let inUse: [String]
    private let inventory: Inventory

    /// Looks for flaws; `hashing` reads every file too, and hears how many bytes were read.
    public init(
        of inventory: Inventory, hashing: Bool, progress: (@Sendable (Int) -> Void)? = nil
    ) {
        self.inventory = inventory
        var flaws: [Flaw] = []
        var busy: Set<String> = []
        for repository in inventory.repositories {
            // Whoever fetches makes links, listings and references one after the other.
            if inventory.isLocked(repository) {
                busy.insert(repository.id)
            } else {
                flaws += RepositoryFlaws(repository).found
            }
        }
        flaws += OwnFlaws(inventory).found
        var damaged: Set<String> = []
        if hashing {
            var verification = Verification(
                inventory.items.filter { !busy.contains($0.id) && $0.kind != .plan }, of: inventory)
            verification.run(progress: progress)
            for check in verification.checks {
                let detail: String
                switch check.outcome {
                case .damaged(let expected, let found):
                    detail = "expected `\(expected)`, found `\(found)`"
                case .unreadable(let reason): detail = reason
                case .intact, .missing, .unknown: continue
                }
                damaged.insert(check.path)
                flaws.append(
                    Flaw(
                        .damaged, check.path, item: check.item.reference, detail: detail,
                        bytes: check.byteCount))
            }
        }
        for piece in Litter(of: inventory).pieces where !damaged.contains(piece.path) {
            let kind: Flaw.Kind =
                switch piece.kind {
                case .partial: .partial
                case .blob: .orphanBlob
                case .content: .orphanContent
                case .shared: .orphanShared
                }
            flaws.append(Flaw(kind, piece.path, bytes: piece.byteCount))
        }
        for name in inventory.foreign {
            flaws.append(Flaw(.foreign, "\(inventory.hub.root)/\(name)"))
        }
        self.flaws = flaws
        inUse = busy.sorted()
    }

    /// Mends them; the bytes freed.
    ///
    /// What names a thing goes before the thing, so that nothing ever leads nowhere.
    public func execute() throws -> Int {
        let (hub, cache) = (inventory.hub, inventory.cache)
        var freed = 0
        for flaw in flaws {
            switch flaw.kind {
            case .foreign, .emptySnapshot, .emptyRepository: break
            case .danglingLink, .danglingRef, .brokenListing, .partial, .orphanBlob:
                freed += try Files.remove(flaw.path)
            case .strayEntry:
                freed += try Files.removeAny(flaw.path)
            case .brokenRecord: try Files.setAside(flaw.path)
            case .missingContent: freed += try Files.remove(flaw.path)
            case .orphanContent:
                freed += try Files.removeAny(flaw.path)
                removeEmptyFolder(UsageRecord.parent(of: flaw.path))
            case .orphanShared: freed += SharedStore.sweep(flaw.path, root: hub.root)
            case .damaged: freed += try removeDamaged(flaw, cache)
            }
        }
        // Snapshots that are empty now, the references to them, and repositories without any.
        for repository in inventory.repositories where !inUse.contains(repository.id) {
            let name = UsageRecord.name(of: repository.folder)
            try hub.removeEmpty(folderName: name)
        }
        return freed
    }

    /// Removes bytes that are wrong, and first every link that leads to them.
    private func removeDamaged(_ flaw: Flaw, _ cache: Cache) throws -> Int {
        let path = flaw.path
        if let repository = inventory.repositories.first(where: {
            path.hasBytes($0.folder + "/")
        }) {
            let name = path.droppingBytes(repository.folder.utf8.count + 1)
            guard
                let index = repository.files.firstIndex(where: {
                    ExactText($0.path) == ExactText(name)
                })
            else {
                return 0
            }
            for revision in repository.revisions {
                for entry in revision.entries where entry.file == index {
                    try Files.remove("\(repository.snapshot(revision.commit))/\(entry.path)")
                }
            }
            var freed = repository.files[index].links == 1 ? repository.files[index].byteCount : 0
            guard name.hasPrefix("blobs/") else { return freed }
            freed = try Files.remove(path)
            if let payload = repository.files[index].sharedTarget {
                freed += SharedStore.sweep(payload, root: inventory.hub.root)
            }
            return freed
        }
        if path.hasPrefix(cache.root + "/features/") {
            return try Files.removeTree(UsageRecord.parent(of: path))
        }
        if path.hasPrefix(cache.root + "/unpacked/") {
            let digest = path.dropFirst((cache.root + "/unpacked/").utf8.count).prefix(64)
            return try cache.removeUnpacked(String(digest))
        }
        var freed = 0
        for entry in inventory.entries where cache.path(of: entry) == path {
            freed += try cache.forget(entry)
        }
        return freed
    }
}

extension Inventory {
    /// Whether another program holds a lock on a repository.
    func isLocked(_ repository: HubRepository) -> Bool {
        let locks = "\(hub.root)/.locks/\(UsageRecord.name(of: repository.folder))"
        return Files.names(in: locks).contains { FileLock.isHeld("\(locks)/\($0)") }
    }
}

extension HubScanner {
    /// Removes snapshots without files, references to commits that are not here, and with the last
    /// commit the repository.
    func removeEmpty(folderName: String) throws {
        guard let repository = repository(folderName: folderName) else { return }
        let empty = repository.revisions.filter { $0.entries.isEmpty }.map(\.commit)
        guard !empty.isEmpty || repository.revisions.isEmpty else { return }
        _ = try remove(empty, ofFolder: folderName)
    }
}

extension Files {
    /// Removes a file, a link, or a folder with what is in it; the bytes freed.
    static func removeAny(_ path: String) throws(FileError) -> Int {
        guard let status = FileSystem.find(path, followsLinks: false) else { return 0 }
        return status.kind == .folder ? try removeTree(path) : try remove(path)
    }

    /// Renames what cannot be read, so that a person can still look at it.
    static func setAside(_ path: String) throws(FileError) {
        do {
            try FileSystem.rename(path, to: path + ".damaged")
        } catch {
            guard error.errno == .noSuchFile else { throw error }
        }
    }
}

// Choosing what goes, and removing it while nobody else is writing there.

import GraftSystem
import GraftTensors

/// Items that are to go, and what that frees.
public struct Removal: Sendable {
    /// What goes.
    public let items: [CacheItem]
    /// The bytes that this frees: those that nothing else needs.
    public let byteCount: Int
    /// What would have gone if it were not in use.
    public let inUse: [CacheItem]
    private let inventory: Inventory

    /// The removal of these items. Pinned ones are refused.
    public init(_ items: [CacheItem], of inventory: Inventory) throws(CacheError) {
        let pinned = items.filter(\.isPinned)
        guard pinned.isEmpty else { throw .pinned(pinned.map(\.reference)) }
        var ledger = Ledger(inventory)
        var freed = 0
        for item in items { freed += ledger.remove(item) }
        self.init(items: items, byteCount: freed, inUse: [], inventory: inventory)
    }

    private init(items: [CacheItem], byteCount: Int, inUse: [CacheItem], inventory: Inventory) {
        self.items = items
        self.byteCount = byteCount
        self.inUse = inUse
        self.inventory = inventory
    }

    /// The least recently used items that have to go so that the rest takes `limit` bytes at most, and
    /// those that were not used for `age` seconds. Never what is pinned or in use.
    public static func collecting(
        _ inventory: Inventory, limit: Int?, age: Int? = nil
    ) -> Removal {
        var ledger = Ledger(inventory)
        var total = inventory.byteCountOnDisk
        var (going, busy): ([CacheItem], [CacheItem]) = ([], [])
        var freed = 0
        let now = Quantity.now
        let candidates = inventory.items.filter { !$0.isPinned }
            .sorted { ($0.used, $0.reference) < ($1.used, $1.reference) }
        for item in candidates {
            let isOld = age.map { now - item.used > $0 } ?? false
            guard isOld || limit.map({ total > $0 }) ?? false else { continue }
            guard !inventory.isInUse(item) else {
                busy.append(item)
                continue
            }
            let bytes = ledger.remove(item)
            going.append(item)
            freed += bytes
            total -= bytes
        }
        return Removal(items: going, byteCount: freed, inUse: busy, inventory: inventory)
    }

    /// The commits of the Hub that no branch or tag names, as `hf cache prune` chooses them.
    public static func pruning(_ inventory: Inventory) -> Removal {
        let loose = inventory.items.filter {
            $0.commit != nil && $0.refs.isEmpty && !$0.isPinned
        }
        let busy = loose.filter(inventory.isInUse)
        let going = loose.filter { !busy.contains($0) }
        var ledger = Ledger(inventory)
        var freed = 0
        for item in going { freed += ledger.remove(item) }
        return Removal(items: going, byteCount: freed, inUse: busy, inventory: inventory)
    }

    /// Removes it all; returns the bytes that were freed.
    /// - Throws: ``CacheError/inUse(_:)``, `FileError`.
    public func execute() throws -> Int {
        var freed = 0
        let (hub, cache) = (inventory.hub, inventory.cache)
        for (folder, commits) in Dictionary(
            grouping: items.filter { $0.commit != nil },
            by: {
                inventory.folder(of: $0)
            }
        ).sorted(by: { $0.key < $1.key }) {
            freed += try hub.remove(commits.compactMap(\.commit), ofFolder: folder)
        }
        for item in items {
            switch item.kind {
            case .file: freed += try cache.remove(item.id)
            case .features: freed += try cache.removeFeatures(item.path)
            case .plan: freed += try Files.remove(item.path)
            case .model, .dataset, .space, .kernel: break
            }
        }
        return freed
    }
}

extension Inventory {
    /// The name of the folder of the repository of an item.
    func folder(of item: CacheItem) -> String {
        let parts = item.path.pathParts
        return parts.count >= 3 ? parts[parts.count - 3] : ""
    }

    /// Whether another program holds a lock on an item.
    func isInUse(_ item: CacheItem) -> Bool {
        switch item.kind {
        case .features: FileLock.isHeld(item.path)
        // Read whole and replaced whole: nobody holds it.
        case .plan: false
        case .file:
            entries.filter { $0.reference == item.id }.contains {
                cache.isLocked($0.url) || cache.isLocked($0.reference)
            }
        case .model, .dataset, .space, .kernel:
            Files.names(in: "\(hub.root)/.locks/\(folder(of: item))").contains {
                FileLock.isHeld("\(hub.root)/.locks/\(folder(of: item))/\($0)")
            }
        }
    }
}

extension Cache {
    /// Whether somebody is fetching an address.
    func isLocked(_ url: String) -> Bool {
        FileLock.isHeld("\(root)/locks/\(ContentHasher.sha256(of: url)).lock")
    }

    /// Removes the features of a model; the bytes freed.
    func removeFeatures(_ folder: String) throws -> Int {
        guard !FileLock.isHeld(folder) else { throw CacheError.inUse(folder) }
        return try Files.removeTree(folder)
    }
}

extension HubScanner {
    /// Removes commits of a repository and the blobs that no other one needs; the bytes freed.
    ///
    /// References go first, then snapshots, then blobs: at no moment does anything lead nowhere, so
    /// that Python's scanner accepts the repository even if this is interrupted.
    func remove(_ commits: [String], ofFolder folderName: String) throws -> Int {
        guard let before = repository(folderName: folderName) else { return 0 }
        let locks = "\(root)/.locks/\(folderName)"
        try Files.makeFolder(locks)
        // Whoever fetches into the repository holds one of these, until its link is made.
        let etags = before.files.filter { $0.path.hasPrefix("blobs/") }
            .map { $0.path.dropFirst("blobs/".count) + ".lock" }
        var held: [FileLock] = []
        CurrentProcess.allowManyFiles()
        for name in Set(Files.names(in: locks)).union(etags.map { String($0) }).sorted() {
            guard let lock = try FileLock(trying: "\(locks)/\(name)") else {
                throw CacheError.inUse(before.id)
            }
            held.append(lock)
        }
        defer { withExtendedLifetime(held) {} }
        guard let now = repository(folderName: folderName) else { return 0 }
        let going = now.revisions.filter { commits.contains($0.commit) }
        let staying = now.revisions.filter { !commits.contains($0.commit) }
        for revision in going {
            for ref in revision.refs { removeFile("\(now.folder)/refs/\(ref)") }
        }
        var freed = 0
        for revision in going {
            freed += try Files.removeTree(now.snapshot(revision.commit))
            removeFile("\(now.folder)/trees/\(revision.commit).json")
            _ = try Files.removeTree("\(now.folder)/.no_exist/\(revision.commit)")
        }
        let needed = now.fileIndices(of: staying)
        let doomed =
            staying.isEmpty ? Set(now.files.indices) : now.fileIndices(of: going)
        for index in doomed.subtracting(needed) {
            let file = now.files[index]
            guard file.path.hasPrefix("blobs/") else { continue }
            freed += try Files.remove("\(now.folder)/\(file.path)")
            if let payload = file.sharedTarget { freed += SharedStore.sweep(payload, root: root) }
        }
        guard staying.isEmpty else { return freed }
        for file in now.partials { freed += try Files.remove("\(now.folder)/\(file.path)") }
        freed += try Files.removeTree("\(now.folder)/trees")
        freed += try Files.removeTree("\(now.folder)/.no_exist")
        // Not the whole tree: what somebody began to put there meanwhile stays.
        for name in ["refs", "snapshots", "blobs"] {
            Files.removeEmptyFolders("\(now.folder)/\(name)")
        }
        do {
            try FileSystem.removeFolder(now.folder)
        } catch {
            // A link to a folder elsewhere.
            if error.errno == .notFolder { removeFile(now.folder) }
        }
        return freed
    }
}

// Everything that is in the caches of this machine: Python's Hub cache, graft's own, and features.

import GraftSystem
import GraftTensors

/// What was there at one moment.
public struct Inventory: Sendable {
    /// The cache of everything that is not of the Hub.
    public let cache: Cache
    /// The cache of the Hub.
    public let hub: HubScanner
    /// The repositories of the Hub.
    public let repositories: [HubRepository]
    /// The fetched references.
    public let entries: [Cache.Entry]
    /// The folders of features, their files relative to them.
    public let features: [(folder: String, files: [StoredFile])]
    /// All of it, in the order Hub, files, features, plans.
    public let items: [CacheItem]
    /// What does not fit together, by repository.
    public let problems: [(id: String, problem: String)]
    /// The names in the Hub's cache that do not belong there.
    public let foreign: [String]
    /// What the archives among ``entries`` unpack to, by their SHA-256; absolute paths.
    let unpacked: [String: [StoredFile]]

    /// Reads the disk. Opens nothing for writing.
    public init(cache: Cache = Cache(), hub: HubScanner = HubScanner()) {
        self.cache = cache
        self.hub = hub
        let (repositories, foreign) = hub.repositories()
        let entries = cache.entries()
        let features = Self.readFeatures(cache.root)
        let used = cache.usage.load()
        let pins = Set(cache.pins())

        var items: [CacheItem] = []
        items.reserveCapacity(repositories.count + entries.count + features.count)
        for repository in repositories {
            for revision in repository.revisions {
                let path = repository.snapshot(revision.commit)
                let files = Set(revision.entries.map(\.file))
                let id = repository.id
                items.append(
                    CacheItem(
                        kind: CacheItem.Kind(rawValue: repository.kind.rawValue) ?? .model, id: id,
                        commit: revision.commit, refs: revision.refs, path: path,
                        byteCount: files.map { repository.files[$0].byteCount }.clampedSum,
                        fileCount: revision.entries.count, modified: revision.modified,
                        used: used[path] ?? revision.modified,
                        isPinned: !pins.isEmpty
                            && ([id, "\(id)@\(revision.commit)"]
                                + revision.refs.map { "\(id)@\($0)" })
                                .contains { pins.contains($0) }
                    ))
            }
        }
        var unpacked: [String: [StoredFile]] = [:]
        for digest in cache.unpackedDigests { unpacked[digest] = cache.unpackedFiles(digest) }
        for entry in entries {
            let path = cache.path(of: entry)
            let file = StoredFile(path)
            let inside = unpacked[entry.sha256] ?? []
            items.append(
                CacheItem(
                    kind: .file, id: entry.reference, commit: nil, refs: [], path: path,
                    byteCount: ([file?.byteCount ?? 0] + inside.map(\.byteCount)).clampedSum,
                    fileCount: inside.count + (file == nil ? 0 : 1),
                    modified: file?.modified ?? 0,
                    used: used[UsageRecord.parent(of: path)] ?? file?.modified ?? 0,
                    isPinned: pins.contains(entry.reference)))
        }
        for (folder, files) in features {
            let id = "features/" + folder.pathLast
            let modified = files.map(\.modified).max() ?? 0
            // Who uses features only reads them, and sets the time of that.
            let read = files.map { StoredFile.accessed("\(folder)/\($0.path)") }.max() ?? 0
            items.append(
                CacheItem(
                    kind: .features, id: id, commit: nil, refs: [], path: folder,
                    byteCount: files.map(\.byteCount).clampedSum, fileCount: files.count,
                    modified: modified, used: max(used[folder] ?? 0, modified, read),
                    isPinned: pins.contains(id)))
        }
        for file in Self.readPlans(cache.root) {
            let name = UsageRecord.name(of: file.path)
            let id = "plans/" + name.prefix(upTo: name.lastIndex(of: ".") ?? name.endIndex)
            items.append(
                CacheItem(
                    kind: .plan, id: id, commit: nil, refs: [], path: file.path,
                    byteCount: file.byteCount, fileCount: 1, modified: file.modified,
                    used: max(used[file.path] ?? 0, file.modified), isPinned: pins.contains(id)))
        }
        self.unpacked = unpacked
        self.foreign = foreign
        self.repositories = repositories
        self.entries = entries
        self.features = features
        self.items = items
        problems =
            repositories.flatMap { repository in
                repository.problems.map { (repository.id, $0) }
            } + foreign.map { ($0, "does not belong into \(hub.root)") }
    }

    private static func readPlans(_ root: String) -> [StoredFile] {
        Files.names(in: root + "/plans").filter {
            // What was measured, and weights that were prepared.
            $0.hasSuffix(".json") || $0.hasSuffix(".plan")
        }.compactMap {
            StoredFile("\(root)/plans/\($0)")
        }
    }

    private static func readFeatures(_ root: String) -> [(folder: String, files: [StoredFile])] {
        Files.names(in: root + "/features").compactMap { key in
            let path = "\(root)/features/\(key)"
            guard let folder = try? OpenFolder(path) else { return nil }
            var files: [StoredFile] = []
            folder.forEach { name, kind in
                guard kind == .file, let status = folder.find(name) else { return }
                files.append(StoredFile(name, status: status))
            }
            return (path, files)
        }
    }

    /// What is left of transfers of graft's own that did not end; their paths are absolute.
    public var partials: [StoredFile] {
        Files.names(in: cache.root + "/partial").compactMap {
            StoredFile("\(cache.root)/partial/\($0)")
        }
    }

    /// The room that everything takes on the disk, each byte counted once.
    public var byteCountOnDisk: Int {
        var seen: Set<StoredFile.Inode> = []
        seen.reserveCapacity(repositories.reduce(0) { $0 + $1.files.count })
        var total = 0
        func add(_ file: StoredFile) {
            if seen.insert(file.inode).inserted { total = [total, file.byteCount].clampedSum }
        }
        for repository in repositories {
            repository.files.forEach(add)
            repository.partials.forEach(add)
        }
        SharedStore.payloads(hub.root).forEach(add)
        for entry in entries { StoredFile(cache.path(of: entry)).map(add) }
        for files in unpacked.values { files.forEach(add) }
        for (_, files) in features { files.forEach(add) }
        for item in items where item.kind == .plan { StoredFile(item.path).map(add) }
        partials.forEach(add)
        return total
    }

    /// The items that any of these names means, and the names that mean none.
    public func select(_ names: [String]) -> (items: [CacheItem], missing: [String]) {
        var missing: [String] = []
        var chosen: Set<Int> = []
        for name in names {
            let hits = items.indices.filter { items[$0].isNamed(name) }
            if hits.isEmpty { missing.append(name) }
            chosen.formUnion(hits)
        }
        return (chosen.sorted().map { items[$0] }, missing)
    }
}

// What removing one item after the other would free, while nothing is touched yet.

/// Which files are still needed by which items, and how many names their bytes still have.
struct Ledger {
    private struct Need {
        let file: StoredFile
        var count = 0
    }
    private var needs: [ExactText: Need] = [:]
    private var names: [StoredFile.Inode: Int] = [:]
    private var filesOfItem: [String: [String]] = [:]
    /// By repository: how many commits are left, and what else goes with the last one.
    private var commits: [String: Int] = [:]
    private var leftovers: [String: [StoredFile]] = [:]

    init(_ inventory: Inventory) {
        for repository in inventory.repositories {
            for revision in repository.revisions {
                let indices = Set(revision.entries.map(\.file))
                let paths = indices.map { "\(repository.folder)/\(repository.files[$0].path)" }
                for (index, path) in zip(indices, paths) { add(path, repository.files[index]) }
                filesOfItem[repository.snapshot(revision.commit)] = paths
            }
            let needed = repository.fileIndices(of: repository.revisions)
            let id = repository.id
            commits[id] = repository.revisions.count
            leftovers[id] =
                repository.partials
                + repository.files.indices.filter { !needed.contains($0) }
                .map { repository.files[$0] }
            // The names of a shared payload are the links that lead to it.
            for file in repository.files where file.sharedTarget != nil {
                names[file.inode, default: 0] += 1
            }
        }
        for entry in inventory.entries {
            let path = inventory.cache.path(of: entry)
            guard let file = StoredFile(path) else { continue }
            add(path, file)
            let inside = inventory.unpacked[entry.sha256] ?? []
            for file in inside { add(file.path, file) }
            filesOfItem[entry.reference] = [path] + inside.map(\.path)
        }
        for item in inventory.items where item.kind == .plan {
            guard let file = StoredFile(item.path) else { continue }
            add(item.path, file)
            filesOfItem[item.path] = [item.path]
        }
        for (folder, files) in inventory.features {
            for file in files { add("\(folder)/\(file.path)", file) }
            filesOfItem[folder] = files.map { "\(folder)/\($0.path)" }
        }
    }

    private mutating func add(_ path: String, _ file: StoredFile) {
        needs[ExactText(path), default: Need(file: file)].count += 1
        if file.sharedTarget == nil { names[file.inode] = file.links }
    }

    /// Removes an item; the bytes that this frees.
    mutating func remove(_ item: CacheItem) -> Int {
        var freed = 0
        for path in filesOfItem.removeValue(forKey: item.kind == .file ? item.id : item.path) ?? []
        {
            needs[ExactText(path)]?.count -= 1
            guard let need = needs[ExactText(path)], need.count == 0 else { continue }
            freed += drop(need.file)
        }
        if item.commit != nil, let left = commits[item.id] {
            commits[item.id] = left - 1
            if left == 1 {
                for file in leftovers[item.id] ?? [] { freed += drop(file) }
            }
        }
        return freed
    }

    private mutating func drop(_ file: StoredFile) -> Int {
        let left = (names[file.inode] ?? file.links) - 1
        names[file.inode] = left
        return left == 0 ? file.byteCount : 0
    }
}

// A repository of the Hub, or one file of it, into Python's cache or a plain folder.

import GraftCache
import GraftSystem
import GraftTensors

/// One repository on its way.
struct RepositoryErrand {
    let text: String
    let reference: HubReference
    let options: FetchOptions
    let offline: Bool
    /// graft's own cache, where the journals are.
    let own: Cache
    let hub: HubCache
    /// The caches of others, which are only read.
    let shared: [HubCache]
    let api: HubAPI
    let progress: (@Sendable (FetchProgress) -> Void)?
    var warnings: [String] = []
    /// What the hub said of the revision a moment ago.
    private var found: HubAPI.Revision?
    /// Why the hub gave no answer, where the cache had to.
    private var refusal: HubError?

    var name: HubName { reference.name }
    var revision: String { options.revision ?? reference.revision ?? "main" }
    var local: LocalFolder? { options.localFolder.map { LocalFolder($0) } }

    init(
        _ text: String, _ options: FetchOptions, offline: Bool, own: Cache, http: HTTP,
        progress: (@Sendable (FetchProgress) -> Void)?
    ) throws {
        self.text = text
        self.options = options
        self.own = own
        self.offline = offline || HubAccess.isOffline
        self.progress = progress
        reference = try HubReference(text, kind: options.kind)
        hub = HubCache(root: options.hubRoot)
        shared = HubCache.shared
        api = HubAPI(
            http,
            try HubAccess(
                token: options.token, tokenFile: options.tokenFile, mirrors: options.mirrors,
                endpoint: options.endpoint))
        guard RelativePath.isSafe(revision) else {
            throw HubError.notRevision(revision)
        }
    }

    // MARK: The whole repository

    /// Fetches what is missing of the files that `patterns` want.
    mutating func fetch(_ patterns: Patterns) throws -> FetchedRepository {
        let commit = try findCommit()
        guard let tree = try findTree(commit, patterns) else {
            // Nobody can be asked, and nobody wrote down what there should be.
            let files = filesHere(commit).filter { patterns.wants($0.path) }
            guard !files.isEmpty else { throw refusal ?? HubError.offline(reference: text) }
            return answer(commit, files, .unknown)
        }
        let wanted = tree.files.filter { patterns.wants($0.key) }.sorted { $0.key < $1.key }
        let odd = tree.refused.map(\.key).filter { patterns.wants($0) }.sorted()
        guard !wanted.isEmpty || !odd.isEmpty || tree.files.isEmpty else {
            throw HubError.nothingWanted(reference: text, fileCount: tree.files.count)
        }
        let missing = wanted.filter { options.isForced || !isHere($0.key, $0.value, commit) }
        let names = Set(missing.map { ExactText($0.key) })
        let files = wanted.map { path, file in
            FetchedRepository.File(
                path: path, byteCount: file.byteCount,
                digest: digest(of: file.etag)?.description ?? "",
                fromCache: !names.contains(ExactText(path)))
        }
        if options.isDryRun {
            warnings += odd.map { "`\($0)` is refused: \(RelativePath.flaw($0)?.rawValue ?? "")" }
            return answer(
                commit, files, missing.isEmpty && odd.isEmpty ? .complete : .partial)
        }
        if !missing.isEmpty, let whole = sharedFolder(commit, wanted.map { ($0.key, $0.value) }) {
            return answer(commit, files, .complete, at: whole)
        }
        if !missing.isEmpty, let refusal { throw refusal }
        if offline, !missing.isEmpty {
            throw HubError.incomplete(
                reference: text, missing: missing.count, of: wanted.count, first: missing[0].key)
        }
        try run(
            missing.map { [links = placesLinks(missing.count)] in
                try order($0.key, $0.value.etag, $0.value.byteCount, commit, links)
            }, commit)
        if let path = odd.first, let flaw = RelativePath.flaw(path) {
            throw HubError.refusedPath(
                path, repository: "\(name)", flaw, more: odd.count - 1, others: wanted.count,
                folder: local?.root ?? hub.snapshot(name, commit))
        }
        return answer(commit, files, .complete)
    }

    /// The commit of the revision, and its list.
    mutating func listing() throws -> (commit: String, tree: TreeListing) {
        let commit = try findCommit()
        guard let tree = try findTree(commit, Patterns()) else {
            throw refusal ?? HubError.offline(reference: text)
        }
        return (commit, tree)
    }

    /// What the commit holds, as far as it can be known.
    mutating func list() throws -> [FetchedRepository.File] {
        let commit = try findCommit()
        guard let tree = try findTree(commit, Patterns()) else { return filesHere(commit) }
        return tree.files.map {
            FetchedRepository.File(
                path: $0.key, byteCount: $0.value.byteCount,
                digest: digest(of: $0.value.etag)?.description ?? "", fromCache: false)
        }.sorted { $0.path < $1.path }
    }

    /// Fetches `orders`, then writes down which commit the revision is.
    private mutating func run(_ orders: [TransferOrder], _ commit: String) throws {
        if local == nil, !offline, !orders.isEmpty || hub.commit(name, revision) != commit {
            try hub.prepare(name, commit: commit)
        }
        if !orders.isEmpty {
            try TransferQueue(api.http, options.transfers, report: progress).run(orders)
        }
        guard local == nil, !offline, refusal == nil else { return }
        guard hub.canHold(name, revision) || HubCache.isCommit(revision) else {
            warnings.append(
                "`\(revision)` is not recorded: another branch or tag is a part of its name; name the "
                    + "commit `\(commit)` to use it offline")
            return
        }
        try hub.setCommit(name, revision, commit)
    }

    private func answer(
        _ commit: String, _ files: [FetchedRepository.File],
        _ completeness: FetchedRepository.Completeness, at folder: String? = nil
    ) -> FetchedRepository {
        FetchedRepository(
            reference: text, repository: name.description, revision: revision, commit: commit,
            path: folder ?? local?.root ?? hub.snapshot(name, commit), files: files,
            completeness: completeness, warnings: warnings)
    }

    /// The commit that a revision was when it was last asked for, here or in a shared cache.
    private var known: String? {
        ([hub] + shared).lazy.compactMap { $0.commit(name, revision) }.first
    }

    /// The commit, from the hub; from the cache where the hub cannot be asked, or refuses.
    private mutating func findCommit() throws -> String {
        if HubCache.isCommit(revision) { return revision }
        if let found { return found.commit }
        if offline {
            guard let known else { throw HubError.offline(reference: text) }
            return known
        }
        do {
            let answer = try api.http.explaining { try api.revision(name, revision) }
            found = answer
            return answer.commit
        } catch let error as Unreachable {
            guard let known else { throw error.reason }
            refusal = error.reason
            warn(error.reason, "using the commit that `\(revision)` was last time")
            return known
        }
    }

    private mutating func warn(_ reason: HubError, _ consequence: String) {
        warnings.append(
            "\(reason.message): \(consequence)" + (reason.hint.map { " (\($0))" } ?? ""))
    }

    /// The listing of a commit that was kept here or in a shared cache.
    private func keptTree(_ commit: String) -> TreeListing? {
        local.flatMap { TreeListing.read($0.tree(commit)) }
            ?? ([hub] + shared).lazy.compactMap { TreeListing.read($0.tree(name, commit)) }.first
    }

    /// What the commit holds: written down here, or asked.
    private mutating func findTree(_ commit: String, _ patterns: Patterns) throws -> TreeListing? {
        if let locked = options.locked { return locked.tree }
        if let tree = keptTree(commit) { return tree }
        guard !offline, refusal == nil else { return nil }
        let siblings = found?.siblings ?? []
        let tree: TreeListing
        do {
            tree = try api.http.explaining { try api.tree(name, commit, siblings: siblings) }
        } catch let error as Unreachable {
            if error.reason.isUnknownAddress, !siblings.isEmpty {
                return try treeOfHeads(commit, siblings.filter { patterns.wants($0) })
            }
            guard local == nil, !filesHere(commit).isEmpty else { throw error.reason }
            refusal = error.reason
            warn(error.reason, "using the files of the cache")
            return nil
        }
        // A cache that cannot be written to is asked for every time.
        if !options.isDryRun { try? tree.write(to: local?.tree(commit) ?? hub.tree(name, commit)) }
        return tree
    }

    /// What files are at a hub that lists none: each is asked for. It is not kept, as it is not all.
    private func treeOfHeads(_ commit: String, _ paths: [String]) throws -> TreeListing {
        Notices.say("`\(api.access.endpoint)` lists no files: asking for each of \(paths.count)")
        var files = ByPath<TreeListing.File>()
        for path in paths {
            let head = try api.head(name, commit, path)
            guard let size = head.byteCount else {
                throw HubError.notAHub(url: api.access.endpoint, .sizeOf(path))
            }
            let isLarge = HubCache.isHex(head.etag, 64)
            files[path] = TreeListing.File(
                size: size, blobID: isLarge ? "" : head.etag, sha256: isLarge ? head.etag : nil,
                largeSize: isLarge ? size : nil)
        }
        return TreeListing(files: files)
    }

    private func filesHere(_ commit: String) -> [FetchedRepository.File] {
        var files: [FetchedRepository.File] = []
        func visit(_ folder: String) {
            for item in Files.names(in: "\(hub.snapshot(name, commit))/\(folder)") {
                let path = folder + item
                if let size = hub.size(name, commit, path) {
                    files.append(
                        FetchedRepository.File(
                            path: path, byteCount: size, digest: "", fromCache: true))
                } else if Files.isFolder("\(hub.snapshot(name, commit))/\(path)") {
                    visit(path + "/")
                }
            }
        }
        visit("")
        return files
    }

    private func isHere(_ path: String, _ file: TreeListing.File, _ commit: String) -> Bool {
        if let local {
            return local.metadata(path)?.etag == file.etag
                && Files.size(of: "\(local.root)/\(path)") == file.byteCount
        }
        return hub.size(name, commit, path) == file.byteCount
            && holds(file.etag, path, commit, in: hub)
    }

    /// The folder of a shared cache that has every one of some files; nil where none has.
    private func sharedFolder(
        _ commit: String, _ files: [(path: String, file: TreeListing.File)]
    ) -> String? {
        guard local == nil, !options.isForced else { return nil }
        return shared.first { store in
            files.allSatisfy {
                store.size(name, commit, $0.path) == $0.file.byteCount
                    && holds($0.file.etag, $0.path, commit, in: store)
            }
        }?.snapshot(name, commit)
    }

    /// Whether a file of a cache has the bytes that `etag` names: its blob is called so, or it is hashed,
    /// once.
    private func holds(
        _ etag: String, _ path: String, _ commit: String, in store: HubCache
    ) -> Bool {
        if store.blobName(name, commit, path) == etag { return true }
        guard let digest = digest(of: etag) else { return true }
        return Proofs(own).holds("\(store.snapshot(name, commit))/\(path)", digest)
    }

    // MARK: One file

    /// Where a file of a commit is whose bytes nothing that is known speaks against.
    private func place(_ path: String, _ commit: String) -> String? {
        for store in shared + [hub] {
            guard let size = store.size(name, commit, path) else { continue }
            let place = "\(store.snapshot(name, commit))/\(path)"
            if let blob = store.blobName(name, commit, path), digest(of: blob) != nil {
                return place
            }
            // Its name is the server's own: what the commit lists counts, as soon as that is known.
            guard let listed = keptTree(commit)?.files[path] else { return place }
            if listed.byteCount == size, holds(listed.etag, path, commit, in: store) {
                return place
            }
        }
        return nil
    }

    /// Fetches one file; a branch costs one request where it is here already, a commit none.
    mutating func fetchFile(_ path: String) throws -> (path: String, digest: Digest?, isOld: Bool) {
        let commit = known
        let here = commit.flatMap { place(path, $0) }
        if local == nil, !options.isForced, HubCache.isCommit(revision) || offline, let here {
            return (here, nil, true)
        }
        guard !offline else { throw HubError.offline(reference: text) }
        let head: HubAPI.FileHead
        do {
            head = try api.http.explaining { [hub, name] in
                try api.head(name, revision, path) { hub.setMissing(name, $0, path) }
            }
        } catch let error as Unreachable {
            guard local == nil, let here else { throw error.reason }
            warn(error.reason, "using the file of the cache")
            return (here, nil, true)
        }
        var (etag, size) = (head.etag, head.byteCount)
        if digest(of: etag) == nil, let listed = keptTree(head.commit)?.files[path] {
            (etag, size) = (listed.etag, listed.byteCount)
        }
        if local == nil, !options.isForced,
            let store = (shared + [hub]).first(where: {
                size != nil && $0.size(name, head.commit, path) == size
                    && holds(etag, path, head.commit, in: $0)
            })
        {
            if store.root == hub.root { try run([], head.commit) }
            return ("\(store.snapshot(name, head.commit))/\(path)", digest(of: etag), true)
        }
        let isOld = !options.isForced && local != nil && local?.metadata(path)?.etag == etag
        try run(
            isOld ? [] : [try order(path, etag, size, head.commit, placesLinks(1))], head.commit)
        let folder = local?.root ?? hub.snapshot(name, head.commit)
        return ("\(folder)/\(path)", digest(of: etag), isOld)
    }
}

/// A server that could not be asked, or gives nothing to who asks now, although what it was asked may be
/// right.
struct Unreachable: Error {
    let reason: HubError
}

extension HTTP {
    /// Runs requests that try again by themselves, and tells a server that cannot be reached, or refuses
    /// who asks (an expired token, a quota, a repository that is gated by now), from one that knows
    /// better: what it says of a file or a revision counts.
    func explaining<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as HubError where error.isRetryable || error.isRefusal {
            throw Unreachable(reason: error)
        }
    }
}

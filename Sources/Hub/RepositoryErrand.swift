// A repository of the Hub, or one file of it, into Python's cache or a plain folder.

import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One repository on its way.
struct RepositoryErrand {
    let text: String
    let reference: HubReference
    let options: FetchOptions
    let offline: Bool
    /// graft's own cache, where the journals are.
    let own: Cache
    let hub: HubCache
    let api: HubAPI
    let progress: (@Sendable (FetchProgress) -> Void)?
    var warnings: [String] = []
    /// The commit that the hub named a moment ago.
    private var commitFound: String?

    var name: HubName { reference.name }
    var revision: String { options.revision ?? reference.revision ?? "main" }
    private var local: LocalFolder? { options.localFolder.map { LocalFolder($0) } }

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
        api = HubAPI(
            http,
            try HubAccess(
                token: options.token, tokenFile: options.tokenFile, mirrors: options.mirrors))
        guard RelativePath.isSafe(revision) else {
            throw HubError("`\(revision)` is not the name of a revision")
        }
    }

    // MARK: The whole repository

    /// Fetches what is missing of the files that `patterns` want.
    mutating func fetch(_ patterns: Patterns) throws -> FetchedRepository {
        let commit = try findCommit()
        guard let tree = try findTree(commit) else {
            // Nobody can be asked, and nobody wrote down what there should be.
            let files = filesHere(commit).filter { patterns.wants($0.path) }
            guard !files.isEmpty else { throw HubError.offline(text) }
            return answer(commit, files, .unknown)
        }
        let wanted = tree.files.filter { patterns.wants($0.key) }.sorted { $0.key < $1.key }
        guard !wanted.isEmpty || tree.files.isEmpty else {
            throw HubError(
                "`\(text)`: none of the \(tree.files.count) files is wanted",
                hint: "check `--include` and `--exclude`", kind: .missingFile)
        }
        let missing = wanted.filter { options.isForced || !isHere($0.key, $0.value, commit) }
        let names = Set(missing.map(\.key))
        let files = wanted.map { path, file in
            FetchedRepository.File(
                path: path, byteCount: file.byteCount,
                digest: digest(of: file.etag)?.description
                    ?? "", fromCache: !names.contains(path))
        }
        if options.isDryRun {
            return answer(commit, files, missing.isEmpty ? .complete : .partial)
        }
        if offline, !missing.isEmpty {
            throw HubError(
                "`\(text)` is not complete: \(missing.count) of \(wanted.count) files are "
                    + "missing, among them `\(missing[0].key)`",
                hint: "run once without `--offline`")
        }
        try run(
            missing.map { [links = placesLinks(missing.count)] in
                try order($0.key, $0.value.etag, $0.value.byteCount, commit, links)
            }, commit)
        return answer(commit, files, .complete)
    }

    /// What the commit holds, as far as it can be known.
    mutating func list() throws -> [FetchedRepository.File] {
        let commit = try findCommit()
        commitFound = commit
        guard let tree = try findTree(commit) else { return filesHere(commit) }
        return tree.files.map {
            FetchedRepository.File(
                path: $0.key, byteCount: $0.value.byteCount,
                digest: digest(of: $0.value.etag)?.description ?? "", fromCache: false)
        }
    }

    /// Fetches `orders`, then writes down which commit the revision is.
    private func run(_ orders: [TransferOrder], _ commit: String) throws {
        if local == nil, !offline, !orders.isEmpty || hub.commit(name, revision) != commit {
            try hub.prepare(name, commit: commit)
        }
        if !orders.isEmpty {
            try TransferQueue(api.http, options.transfers, report: progress).run(orders)
        }
        if local == nil, !offline { try hub.setCommit(name, revision, commit) }
    }

    private func answer(
        _ commit: String, _ files: [FetchedRepository.File],
        _ completeness: FetchedRepository.Completeness
    ) -> FetchedRepository {
        FetchedRepository(
            reference: text, repository: name.description, revision: revision, commit: commit,
            path: local?.root ?? hub.snapshot(name, commit), files: files,
            completeness: completeness, warnings: warnings)
    }

    /// The commit, from the hub; from the cache where the hub cannot be asked.
    private mutating func findCommit() throws -> String {
        if HubCache.isCommit(revision) { return revision }
        if let commitFound { return commitFound }
        let known = hub.commit(name, revision)
        if offline {
            guard let known else { throw HubError.offline(text) }
            return known
        }
        do {
            return try api.http.explaining { try api.commit(name, revision) }
        } catch let error as Unreachable {
            guard let known else { throw error.reason }
            warnings.append(
                "\(error.reason.message): using the commit that `\(revision)` was last time")
            return known
        }
    }

    /// What the commit holds: written down here, or asked.
    private mutating func findTree(_ commit: String) throws -> TreeListing? {
        if let locked = options.locked { return locked.tree }
        let path = local?.tree(commit) ?? hub.tree(name, commit)
        if let tree = TreeListing.read(path) ?? TreeListing.read(hub.tree(name, commit)) {
            return tree
        }
        guard !offline else { return nil }
        let tree: TreeListing
        do {
            tree = try api.http.explaining { try api.tree(name, commit) }
        } catch let error as Unreachable {
            guard local == nil, !filesHere(commit).isEmpty else { throw error.reason }
            warnings.append("\(error.reason.message): using the files of the cache")
            return nil
        }
        // A cache that cannot be written to is asked for every time.
        if !options.isDryRun { try? tree.write(to: path) }
        return tree
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
    }

    // MARK: One file

    /// Fetches one file; a branch costs one request where it is here already, a commit none.
    mutating func fetchFile(_ path: String) throws -> (path: String, digest: Digest?, isOld: Bool) {
        func place(_ commit: String) -> String {
            "\(local?.root ?? hub.snapshot(name, commit))/\(path)"
        }
        let known = hub.commit(name, revision)
        let isHere = known.map { hub.size(name, $0, path) != nil } ?? false
        if local == nil, !options.isForced, HubCache.isCommit(revision) || offline, let known,
            isHere
        {
            return (place(known), nil, true)
        }
        guard !offline else { throw HubError.offline(text) }
        let head: HubAPI.FileHead
        do {
            head = try api.http.explaining { [hub, name] in
                try api.head(name, revision, path) { hub.setMissing(name, $0, path) }
            }
        } catch let error as Unreachable {
            guard local == nil, isHere, let known else { throw error.reason }
            warnings.append("\(error.reason.message): using the file of the cache")
            return (place(known), nil, true)
        }
        let old =
            local == nil
            ? head.byteCount.map { hub.size(name, head.commit, path) == $0 } ?? false
            : local?.metadata(path)?.etag == head.etag
        let isOld = old && !options.isForced
        try run(
            isOld
                ? [] : [try order(path, head.etag, head.byteCount, head.commit, placesLinks(1))],
            head.commit)
        return (place(head.commit), digest(of: head.etag), isOld)
    }

    // MARK: Orders

    /// Whether files of the cache are links; found out only for files that are going there.
    private func placesLinks(_ count: Int) -> Bool {
        count > 0 && local == nil && hub.usesLinks()
    }

    private func digest(of etag: String) -> Digest? {
        if HubCache.isHex(etag, 64) { return .sha256(etag) }
        return HubCache.isCommit(etag) ? .gitBlob(etag) : nil
    }

    private func order(
        _ path: String, _ etag: String, _ size: Int?, _ commit: String, _ links: Bool
    ) throws -> TransferOrder {
        var digest =
            options.locked?.files[path].map { .sha256($0.sha256) } ?? digest(of: etag)
        // git's name of a file begins with its size.
        if case .gitBlob = digest, size == nil { digest = nil }
        let sources = try api.sources(name, commit, path)
        if let local { return try order(path, etag, size, commit, digest, sources, local) }
        let (hub, name, isForced) = (hub, name, options.isForced)
        let blob = hub.blob(name, etag)
        return TransferOrder(
            name: path, sources: sources, byteCount: size, digest: digest,
            newPartial: { "\(blob).\(HubCache.infix()).incomplete" },
            journal: own.journalPath(for: blob), lock: hub.lock(name, etag),
            isThere: {
                guard !isForced, let found = Files.size(of: blob), size == nil || found == size
                else { return false }
                try hub.place(name, commit, path, etag: etag, links: links, isNew: false)
                return true
            },
            publish: { [own] partial, sums in
                try Unflushed(own).publish(
                    partial, to: blob, sha256: sums.sha256, byteCount: sums.byteCount)
                try hub.place(name, commit, path, etag: etag, links: links, isNew: true)
            })
    }

    private func order(
        _ path: String, _ etag: String, _ size: Int?, _ commit: String, _ digest: Digest?,
        _ sources: [Source], _ local: LocalFolder
    ) throws -> TransferOrder {
        try local.prepare(path)
        let (hub, name, isForced) = (hub, name, options.isForced)
        let metadata = LocalFolder.Metadata(commit: commit, etag: etag)
        let place = "\(local.root)/\(path)"
        return TransferOrder(
            name: path, sources: sources, byteCount: size, digest: digest,
            newPartial: { local.newPartial(path, etag: etag) },
            journal: own.journalPath(for: place), lock: local.lock(path),
            isThere: {
                guard !isForced else { return false }
                if let size, Files.size(of: place) == size, let digest,
                    digest.matches(try ContentHasher.over(place, for: digest).finalize())
                {
                    try local.record(path, metadata)
                    return true
                }
                // The cache has it at this commit: a copy, which shares its blocks where that works.
                let cached = "\(hub.snapshot(name, commit))/\(path)"
                guard let size, Files.size(of: cached) == size else { return false }
                let partial = local.newPartial(path, etag: etag)
                try Files.copy(cached, to: partial)
                try local.publish(partial, as: path, metadata)
                return true
            },
            publish: { partial, _ in try local.publish(partial, as: path, metadata) })
    }
}

/// A server that could not be asked, although what it was asked may be right.
struct Unreachable: Error {
    let reason: HubError
}

extension HTTP {
    /// Runs requests that try again by themselves, and tells a server that cannot be reached from one
    /// that refuses.
    func explaining<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as HubError where error.isTransient {
            throw Unreachable(reason: error)
        }
    }
}

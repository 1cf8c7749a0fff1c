// Locking references, and fetching what is locked and nothing else.

import GraftCache
import GraftRegistry
import GraftSystem
import GraftTensors

extension Hub {
    /// What a reference is now: fetched, proven, and hashed.
    /// - Throws: what fetching throws, and `HubError` for a path, which only this machine knows.
    public func lock(
        _ reference: String, progress: (@Sendable (FetchProgress) -> Void)? = nil
    ) async throws -> LockFile.Locked {
        let reference = resolved(reference)
        let source = try published(reference)?.url ?? reference
        if source.hasPrefix("hf://") { return try await lockHub(source, progress) }
        guard source.contains(":") else {
            throw HubError.lockOfPath(reference)
        }
        let fetched = try await fetch(reference) { done, total in
            progress?(
                FetchProgress(
                    file: reference, bytes: Int(done), totalBytes: total.map { Int($0) }))
        }
        let module = try ModuleReference(source)
        let name = module?.text ?? source
        // A reference without a version was one: that is what is written down.
        let entry =
            cache.entry(for: name)
            ?? Cache.shared.lazy.compactMap { $0.entry(for: name) }.first
            ?? cache.entries().first {
                $0.sha256 == fetched.sha256 && $0.reference.hasPrefix(name + "/")
            }
        guard let entry else { throw CacheError.unknown(reference) }
        let file = LockFile.File(
            bytes: fetched.byteCount, sha256: fetched.sha256, gitSHA1: nil, isLarge: nil,
            url: String(entry.url.prefix { $0 != "#" }))
        if entry.key != nil {
            Notices.say(
                "warning: `\(entry.reference)` is locked without its signature or token: who fetches "
                    + "what is locked needs one of their own")
        }
        return LockFile.Locked(
            type: "file", source: try versioned(entry, source),
            locked: Quantity.moment(Quantity.now),
            files: [entry.fileName: file])
    }

    /// What an entry is fetched by, with its version.
    private func versioned(_ entry: Cache.Entry, _ source: String) throws -> String {
        guard source.hasPrefix("pypi:") else {
            // Where an address says what it must hash to, the lock says so again.
            return String(entry.reference.prefix { $0 != "#" })
        }
        let package = try PackageReference(source)
        guard package.version == nil, let location = try? Location(entry.url),
            let version = location.fileName.flatMap({ PackageVersion(fileName: $0) })
        else { return source }
        return "pypi:\(package.package)==\(version.text)"
            + (package.member.isEmpty ? "" : "/" + package.member)
    }

    private func lockHub(
        _ source: String, _ progress: (@Sendable (FetchProgress) -> Void)?
    ) async throws -> LockFile.Locked {
        var options = options
        // Into the cache, whatever else the options say: what is locked is hashed there.
        options.localFolder = nil
        options.isDryRun = false
        let hub = Hub(offline: offline, cache: cache, options: options)
        let found = try await hub.fetchRepository(source, progress: progress)
        let parsed = try HubReference(source, kind: options.kind)
        let tree = TreeListing.read(HubCache(root: options.hubRoot).tree(parsed.name, found.commit))
        let endpoint = try PlainHTTP.$hosts.withValue(options.plainHTTPHosts) {
            try HubAccess(tokenFile: options.tokenFile, endpoint: options.endpoint).endpoint
        }
        var files = ByPath<LockFile.File>()
        for file in found.files {
            let path = "\(found.path)/\(file.path)"
            let sums = try ContentHasher.over(path, for: .gitBlob("")).finalize()
            guard let listed = tree?.files[file.path],
                listed.sha256 == nil ? listed.blobID == sums.gitBlob : listed.sha256 == sums.sha256
            else {
                throw HubError.notAsListed(path: path)
            }
            files[file.path] = LockFile.File(
                bytes: sums.byteCount, sha256: sums.sha256, gitSHA1: listed.blobID,
                isLarge: listed.sha256 == nil ? nil : true,
                url: "\(endpoint)/\(parsed.name.webPath)/resolve/\(found.commit)/"
                    + PercentCoding.encoded(file.path, keeping: "/"))
        }
        return LockFile.Locked(
            type: parsed.name.kind.rawValue, source: source, revision: found.revision,
            commit: found.commit, include: options.include.isEmpty ? nil : options.include,
            exclude: options.exclude.isEmpty ? nil : options.exclude,
            locked: Quantity.moment(Quantity.now), files: files)
    }

    // MARK: Fetching what is locked

    /// What a locked reference is on this machine.
    public enum LockedResult: Sendable {
        /// One file.
        case file(Fetched)
        /// Files of a repository of the Hub.
        case repository(FetchedRepository)
    }

    /// The files of a locked reference: those bytes, or an error.
    ///
    /// A repository is asked for the locked commit, wherever its branch is now, and for no listing. Files
    /// that are here already are hashed too.
    public func fetch(
        _ reference: String, locked: LockFile.Locked,
        progress: (@Sendable (FetchProgress) -> Void)? = nil
    ) async throws -> LockedResult {
        guard let commit = locked.commit else {
            guard let file = locked.files.first(where: { _ in true })?.value else {
                throw CacheError.unknown(reference)
            }
            let found = try await fetch(
                locked.source, digest: "sha256:" + file.sha256,
                progress: { done, total in
                    progress?(
                        FetchProgress(
                            file: reference, bytes: Int(done), totalBytes: total.map { Int($0) }))
                })
            guard found.sha256 == file.sha256, found.byteCount == file.bytes else {
                throw HubError.notLocked(
                    name: reference, expected: "\(file.bytes) bytes of sha256:\(file.sha256)",
                    found: "\(found.byteCount) bytes of sha256:\(found.sha256)")
            }
            return .file(
                Fetched(
                    path: found.path, byteCount: found.byteCount, sha256: found.sha256,
                    reference: reference, fromCache: found.fromCache))
        }
        if let wanted = options.revision, wanted != commit, wanted != locked.revision {
            throw HubError.notLocked(
                name: reference, expected: "commit \(commit) of \(locked.revision ?? "main")",
                found: wanted)
        }
        var options = options
        options.revision = commit
        options.kind = HubName.Kind(rawValue: locked.type)
        options.include = []
        options.exclude = []
        options.locked = locked
        let repository = try await Hub(offline: offline, cache: cache, options: options)
            .fetchRepository(locked.source, progress: progress)
        if !options.isDryRun { try prove(repository, locked) }
        return .repository(repository)
    }

    /// Hashes the files of a repository, as far as they were here before.
    private func prove(_ repository: FetchedRepository, _ locked: LockFile.Locked) throws {
        for file in repository.files where file.fromCache {
            guard let wanted = locked.files[file.path] else { continue }
            let path = "\(repository.path)/\(file.path)"
            let sums = try ContentHasher.over(path).finalize()
            guard sums.sha256 == wanted.sha256, sums.byteCount == wanted.bytes else {
                throw HubError.notLocked(
                    name: path, expected: "\(wanted.bytes) bytes of sha256:\(wanted.sha256)",
                    found: "\(sums.byteCount) bytes of sha256:\(sums.sha256)")
            }
        }
    }
}

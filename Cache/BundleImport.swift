// Models out of a bundle, into the caches of this machine: `graft cache import`.

import FoundationEssentials
import GraftSystem
import GraftTensors

/// A bundle that somebody handed over. Nothing in it is trusted: every content is hashed before any
/// of it becomes reachable, and what is here already stays as it is.
public struct BundleImport {
    /// One thing of the bundle, and what became of it.
    public struct Outcome: Sendable, Encodable {
        /// What became of a thing.
        public enum State: String, Sendable, Encodable {
            /// It was not here.
            case added
            /// It was here already.
            case present
            /// Something else is here under its name, and stays.
            case kept
        }
        /// Its reference: `hf://org/name@commit`, `https://…`.
        public let reference: String
        /// What became of it.
        public let state: State
        /// How many files were added.
        public let files: Int
        /// Their bytes.
        public let bytes: Int
        /// What stays as it is, in words.
        public let notes: [String]
    }

    private let archive: String
    private let manifest: BundleManifest
    private let cache: Cache
    private let hub: HubCache

    /// Reads what a bundle says that it holds.
    /// - Throws: ``ArchiveError``.
    public init(_ archive: String, cache: Cache = Cache(), hub: HubCache = HubCache()) throws {
        self.archive = archive
        self.cache = cache
        self.hub = hub
        let reader = try ArchiveReader(archive)
        manifest = try Self.manifest(reader)
    }

    private static func manifest(_ reader: ArchiveReader) throws -> BundleManifest {
        guard let first = try reader.next(), first.kind == .file,
            first.path == BundleManifest.memberName
        else { throw ArchiveError.notABundle(archive: reader.path) }
        var bytes: [UInt8] = []
        try reader.forEachPiece { piece in
            bytes += piece
            guard bytes.count <= BundleManifest.maximumByteCount else {
                throw ArchiveError.tooLarge(
                    archive: reader.path, .listBytes(BundleManifest.maximumByteCount))
            }
        }
        return try BundleManifest(bytes, of: reader.path)
    }

    // MARK: Plan

    /// What would become of each thing, without reading further or writing.
    public func plan() -> [Outcome] {
        manifest.repositories.compactMap { repository in
            repository.name.map { outcome(repository, $0, isDone: false) }
        } + manifest.files.map(outcome)
    }

    private func outcome(
        _ repository: BundleManifest.Repository, _ name: HubName, isDone: Bool
    ) -> Outcome {
        let missing = repository.files.filter { isMissing($0.key, name, repository) }
        var notes: [String] = []
        for (path, file) in repository.files.sorted(by: { $0.key < $1.key })
        where !isMissing(path, name, repository)
            && hub.size(name, repository.commit, path) != file.byteCount
        {
            notes.append("`\(path)` is here with another size: see `graft cache repair`")
        }
        for ref in repository.refs {
            if !hub.canHold(name, ref) || RelativePath.conflict(among: repository.refs) != nil {
                notes.append("`\(ref)` may be left out: another ref is a part of its name")
            }
            if let here = hub.commit(name, ref), here != repository.commit {
                notes.append("`\(ref)` stays at commit `\(here)`")
            }
        }
        return Outcome(
            reference: "\(name)@\(repository.commit)",
            state: !missing.isEmpty ? .added : notes.isEmpty ? .present : .kept,
            files: missing.count, bytes: missing.map(\.value.byteCount).clampedSum,
            notes: notes)
    }

    private func outcome(_ own: BundleManifest.Own) -> Outcome {
        let entry = own.entry
        func outcome(_ state: Outcome.State, _ notes: [String] = []) -> Outcome {
            Outcome(
                reference: entry.reference, state: state, files: state == .added ? 1 : 0,
                bytes: state == .added ? entry.byteCount : 0, notes: notes)
        }
        if let here = cache.entry(like: entry) {
            return here.sha256 == entry.sha256
                ? outcome(.present) : outcome(.kept, ["`sha256:\(here.sha256)` stays"])
        }
        if let known = cache.firstSeen(entry.url), known.sha256 != entry.sha256 {
            return outcome(
                .kept, ["it was `sha256:\(known.sha256)` when it was first fetched here"])
        }
        return outcome(.added)
    }

    /// Whether nothing is here under a path of a commit: a link that leads nowhere is nothing.
    private func isMissing(
        _ path: String, _ name: HubName, _ repository: BundleManifest.Repository
    ) -> Bool {
        !FileSystem.exists("\(hub.snapshot(name, repository.commit))/\(path)")
    }

    // MARK: Doing it

    /// Puts into the caches what is not there yet.
    public func execute(progress: ((Int, Int) -> Void)? = nil) throws -> [Outcome] {
        guard !cache.root.isEmpty else { throw CacheError.noHome }
        for repository in manifest.repositories { try compareWithListing(repository) }
        let plan = plan()
        var needed: [String: Int] = [:]
        for repository in manifest.repositories {
            guard let name = repository.name else { continue }
            let etags = etags(repository, name)
            for (path, file) in repository.files where isMissing(path, name, repository) {
                let etag = etags[path] ?? file.etag
                guard Files.size(of: hub.blob(name, etag)) != file.byteCount else { continue }
                needed[file.sha256] = file.byteCount
            }
        }
        for (own, outcome) in zip(manifest.files, plan.suffix(manifest.files.count))
        where outcome.state == .added { needed[own.entry.sha256] = own.entry.byteCount }
        let total = Array(needed.values).clampedSum
        if let free = Files.freeBytes(at: cache.root), free < total {
            throw CacheError.noSpace(cache.root, needed: total, free: free)
        }
        let staging = try Staging(cache)
        try stage(needed, in: staging, total, progress)
        for repository in manifest.repositories {
            guard let name = repository.name else { continue }
            try publish(repository, name, staging)
        }
        for (own, outcome) in zip(manifest.files, plan.suffix(manifest.files.count))
        where outcome.state == .added { try publish(own, staging) }
        return plan
    }

    /// What this machine knows of a commit is not overruled by a bundle.
    private func compareWithListing(_ repository: BundleManifest.Repository) throws {
        guard let name = repository.name,
            let known = TreeListing.read(hub.tree(name, repository.commit))
        else { return }
        for (path, file) in repository.files {
            guard let listed = known.files[path] else {
                throw ArchiveError.refused(
                    archive: archive, member: path, .notInCommit(repository.commit))
            }
            let isSame =
                listed.etag == file.etag || listed.etag == file.sha256
                || !HubCache.isHex(file.etag, 40) && !HubCache.isHex(file.etag, 64)
                    && HubCache.isCommit(listed.etag)
            guard isSame, listed.byteCount == file.byteCount else {
                throw ArchiveError.refused(
                    archive: archive, member: path, .notTheFileOfCommit(repository.commit))
            }
        }
    }

    /// What a file is called here: the digest that its commit lists, where one is known.
    private func etags(
        _ repository: BundleManifest.Repository, _ name: HubName
    ) -> ByPath<String> {
        let tree = repository.tree ?? TreeListing.read(hub.tree(name, repository.commit))
        var etags = ByPath<String>()
        for (path, file) in repository.files { etags[path] = tree?.files[path]?.etag ?? file.etag }
        return etags
    }

    /// Reads the contents that are needed to files that nothing leads to, and proves them.
    private func stage(
        _ needed: [String: Int], in staging: Staging, _ total: Int,
        _ progress: ((Int, Int) -> Void)?
    ) throws {
        let reader = try ArchiveReader(archive)
        _ = try Self.manifest(reader)
        let sizes = Dictionary(
            manifest.contents.map { ($0.sha256, $0.byteCount) }, uniquingKeysWith: { a, _ in a })
        var etags: [String: Set<String>] = [:]
        for repository in manifest.repositories {
            guard let name = repository.name else { continue }
            let names = self.etags(repository, name)
            for (path, file) in repository.files {
                let etag = names[path] ?? file.etag
                if HubCache.isCommit(etag) { etags[file.sha256, default: []].insert(etag) }
            }
        }
        var seen: Set<String> = []
        var done = 0
        while let member = try reader.next() {
            let sha256 = String(member.path.dropFirst("contents/".count))
            guard member.kind == .file, member.path == "contents/" + sha256,
                let size = sizes[sha256]
            else { throw refused(member, .notListed) }
            guard seen.insert(sha256).inserted else {
                throw refused(member, .twice)
            }
            guard needed[sha256] != nil else { continue }
            var file = try AtomicFile(replacing: staging.path(sha256))
            var hasher = ContentHasher(for: .gitBlob(""), byteCount: size)
            try reader.forEachPiece { bytes in
                guard bytes.count <= size - hasher.byteCount else {
                    throw refused(member, .longerThanListed)
                }
                hasher.update(bytes)
                try file.write(bytes)
                progress?(done + hasher.byteCount, total)
            }
            let sums = hasher.finalize()
            guard sums.sha256 == sha256, sums.byteCount == size else {
                throw refused(member, .wrongDigest(found: sums.sha256))
            }
            if let wrong = etags[sha256]?.first(where: { $0 != sums.gitBlob }) {
                throw refused(member, .wrongGitName(expected: wrong))
            }
            try file.commit()
            done += size
        }
        if let missing = needed.keys.sorted().first(where: { !seen.contains($0) }) {
            throw ArchiveError.missingContent(archive: archive, sha256: missing)
        }
    }

    private func refused(_ member: ArchiveReader.Member, _ flaw: ArchiveFlaw) -> ArchiveError {
        .refused(archive: archive, member: member.path, flaw)
    }

    private func publish(
        _ repository: BundleManifest.Repository, _ name: HubName, _ staging: Staging
    ) throws {
        let commit = repository.commit
        let isHere = Files.isFolder(hub.snapshot(name, commit))
        try hub.prepare(name, commit: commit)
        let links = hub.usesLinks()
        let etags = etags(repository, name)
        for (path, file) in repository.files.sorted(by: { $0.key < $1.key })
        where isMissing(path, name, repository) {
            let etag = etags[path] ?? file.etag
            try Files.locked(hub.lock(name, etag)) {
                guard isMissing(path, name, repository) else { return }
                let blob = hub.blob(name, etag)
                let isNew = Files.size(of: blob) != file.byteCount
                if isNew { try staging.put(file.sha256, at: blob) }
                try hub.place(
                    name, commit, path, etag: etag, links: links, isNew: isNew)
            }
        }
        let tree = hub.tree(name, commit)
        if let listing = repository.tree, Files.size(of: tree) == nil {
            try listing.write(to: tree)
        }
        // What nothing leads to is there by now: the names come last, and never change.
        for ref in repository.refs
        where hub.commit(name, ref) == nil && hub.canHold(name, ref) {
            try hub.setCommit(name, ref, commit)
        }
        if !isHere { cache.usage.add(hub.snapshot(name, commit), at: used(repository.used)) }
    }

    private func publish(_ own: BundleManifest.Own, _ staging: Staging) throws {
        let entry = own.entry
        try cache.locked(entry.url) {
            guard cache.entry(like: entry) == nil else { return }
            let path = cache.path(of: entry)
            if Files.size(of: path) != entry.byteCount {
                try Files.makeFolder(UsageRecord.parent(of: path))
                try staging.put(entry.sha256, at: path)
            }
            try cache.record(entry)
            if own.firstSeen != nil {
                try cache.compareWithFirstSeen(
                    entry.url, sha256: entry.sha256, byteCount: entry.byteCount)
            }
            cache.usage.add(UsageRecord.parent(of: path), at: used(own.used))
        }
    }

    /// A use in the future would keep a thing for ever.
    private func used(_ seconds: Int) -> Int { min(max(seconds, 0), Quantity.now) }
}

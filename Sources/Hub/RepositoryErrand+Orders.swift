// What to fetch for a file of a repository, and where it goes.

import GraftCache
import GraftSystem
import GraftTensors

extension RepositoryErrand {
    /// Whether files of the cache are links; found out only for files that are going there.
    func placesLinks(_ count: Int) -> Bool {
        count > 0 && local == nil && hub.usesLinks()
    }

    func digest(of etag: String) -> Digest? {
        if HubCache.isHex(etag, 64) { return .sha256(etag) }
        return HubCache.isCommit(etag) ? .gitBlob(etag) : nil
    }

    func order(
        _ path: String, _ etag: String, _ size: Int?, _ commit: String, _ links: Bool
    ) throws -> TransferOrder {
        let named: Digest? =
            options.locked?.files[path].map { .sha256($0.sha256) } ?? digest(of: etag)
        // git's name of a file begins with its size.
        let digest: Digest? = if case .gitBlob = named, size == nil { nil } else { named }
        let sources = try api.sources(name, commit, path)
        if let local { return try order(path, etag, size, commit, digest, sources, local) }
        let (hub, name, isForced, shared) = (hub, name, options.isForced, shared)
        let blob = hub.blob(name, etag)
        let place = "\(hub.snapshot(name, commit))/\(path)"
        return TransferOrder(
            name: path, sources: sources, byteCount: size, digest: digest,
            newPartial: { "\(blob).\(HubCache.infix()).incomplete" },
            journal: own.journalPath(for: blob), commit: commit, lock: hub.lock(name, etag),
            isThere: { [own] in
                guard !isForced else { return false }
                if Files.size(of: blob) == nil, let digest, let size {
                    try Self.copy(
                        etag, digest, size, from: shared.map { $0.blob(name, etag) }, blob)
                }
                guard let found = Files.size(of: blob), size == nil || found == size,
                    Self.isCalledByDigest(etag)
                        || digest.map({ Proofs(own).holds(blob, $0) }) ?? true
                else { return false }
                try hub.place(name, commit, path, etag: etag, links: links, isNew: false)
                return true
            },
            observe: options.observer,
            publish: { [own] partial, sums in
                try Unflushed(own).publish(
                    partial, to: blob, sha256: sums.sha256, byteCount: sums.byteCount)
                try hub.place(name, commit, path, etag: etag, links: links, isNew: true)
                if !links, let digest { Proofs(own).add(place, digest) }
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
            journal: own.journalPath(for: place), commit: commit, lock: local.lock(path),
            isThere: { [own] in
                guard !isForced else { return false }
                if let size, Files.size(of: place) == size, let digest,
                    digest.matches(try ContentHasher.over(place, for: digest).finalize())
                {
                    try local.record(path, metadata)
                    return true
                }
                // The cache has it at this commit: a copy, which shares its blocks where that works.
                let cached = "\(hub.snapshot(name, commit))/\(path)"
                guard let size, Files.size(of: cached) == size,
                    digest.map({ Proofs(own).holds(cached, $0) }) ?? true
                else { return false }
                let partial = local.newPartial(path, etag: etag)
                try Files.copy(cached, to: partial)
                try local.publish(partial, as: path, metadata)
                return true
            },
            publish: { partial, _ in try local.publish(partial, as: path, metadata) })
    }

    /// Whether a blob is called by what it hashes to.
    private static func isCalledByDigest(_ etag: String) -> Bool {
        HubCache.isHex(etag, 64) || HubCache.isCommit(etag)
    }

    /// Takes a blob from the first of some shared caches that has it, where its bytes are right.
    private static func copy(
        _ etag: String, _ digest: Digest, _ size: Int, from sources: [String], _ blob: String
    ) throws {
        guard let source = sources.first(where: { Files.size(of: $0) == size }) else { return }
        let partial = "\(blob).\(HubCache.infix()).incomplete"
        try Files.copy(source, to: partial)
        let sums = try ContentHasher.over(partial, for: digest).finalize()
        guard digest.matches(sums), (try? FileSystem.rename(partial, to: blob)) != nil else {
            FileSystem.discard(partial)
            return
        }
    }
}

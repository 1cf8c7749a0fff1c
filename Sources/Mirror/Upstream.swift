// The hub behind a mirror: what it says is kept, and each file is fetched once for all who want it.

import GraftCache
import GraftHub
import GraftServer
import Synchronization

/// Asks another hub for what is not here.
final class Upstream: Sendable {
    let address: String
    private let options: FetchOptions
    private let cache: Cache
    private let shelf: Shelf
    private let eviction: Eviction?
    private let state = Mutex(State())
    /// A transfer blocks a thread: questions about revisions find one however many run.
    private let turns = Turns(count: 16)

    /// Seconds for which the commit of a branch is taken as it was.
    static let freshness = Duration.seconds(30)
    /// Revisions, and listings, that are kept in memory.
    private static let keptRevisions = 10_000
    private static let keptListings = 256

    private struct State {
        var revisions: [String: (commit: String, end: ContinuousClock.Instant)] = [:]
        var listings: [String: CommitListing] = [:]
        var asking: [String: Task<String, any Error>] = [:]
        var pulls: [String: Pull] = [:]
        /// Until then it is not asked: it did not answer.
        var isDownUntil = ContinuousClock.Instant.now
    }

    init(
        _ address: String, shelf: Shelf, cache: Cache, options: FetchOptions, eviction: Eviction?
    ) {
        self.address = address
        self.shelf = shelf
        self.cache = cache
        self.eviction = eviction
        var options = options
        options.endpoint = address
        options.hubRoot = shelf.hub.root
        self.options = options
    }

    // MARK: Revisions and listings

    /// The commit of a revision, which is asked for once for all who want it at the same time.
    func commit(_ name: HubName, revision: String) async throws -> String {
        let key = "\(name.folderName) \(revision)"
        if HubCache.isCommit(revision), listing(kept: name, commit: revision) != nil {
            return revision
        }
        let task = state.withLock { state -> Task<String, any Error> in
            if let known = state.revisions[key], known.end > .now {
                return Task { known.commit }
            }
            if let running = state.asking[key] { return running }
            let task = Task { try await ask(name, revision: revision, key: key) }
            state.asking[key] = task
            return task
        }
        return try await task.value
    }

    private func ask(_ name: HubName, revision: String, key: String) async throws -> String {
        defer { state.withLock { $0.asking[key] = nil } }
        let isDown = state.withLock { $0.isDownUntil > .now }
        do {
            let found = try await Hub(offline: isDown, cache: cache, options: options)
                .keepListing(name, revision: revision)
            let (commit, listing) = (
                found.commit, CommitListing(commit: found.commit, tree: found.tree)
            )
            state.withLock { state in
                if found.isKept { state.isDownUntil = .now + Self.freshness }
                if state.revisions.count >= Self.keptRevisions { state.revisions = [:] }
                if state.listings.count >= Self.keptListings { state.listings = [:] }
                state.revisions[key] = (commit, .now + Self.freshness)
                state.listings["\(name.folderName) \(commit)"] = listing
            }
            return commit
        } catch  where isDown {
            throw Refused(
                .refusal(504, saying: "\(address) did not answer, and this is not in the cache"))
        } catch let error as HubError {
            if case .unreachable = error.meaning {
                state.withLock { $0.isDownUntil = .now + Self.freshness }
            }
            throw Refused(error, of: name, revision: revision)
        }
    }

    /// Every file of a commit, here or not.
    func listing(_ name: HubName, commit: String) async throws -> CommitListing {
        if let listing = listing(kept: name, commit: commit) { return listing }
        _ = try await self.commit(name, revision: commit)
        guard let listing = listing(kept: name, commit: commit) else {
            throw Refused(.missing(name, revision: commit))
        }
        return listing
    }

    private func listing(kept name: HubName, commit: String) -> CommitListing? {
        let key = "\(name.folderName) \(commit)"
        if let kept = state.withLock({ $0.listings[key] }) { return kept }
        guard let tree = TreeListing.read(shelf.hub.tree(name, commit)) else { return nil }
        let listing = CommitListing(commit: commit, tree: tree)
        state.withLock { state in
            if state.listings.count >= Self.keptListings { state.listings = [:] }
            state.listings[key] = listing
        }
        return listing
    }

    // MARK: Files

    /// The answer that sends a file of a commit, from the cache or while it arrives.
    func resolve(
        _ name: HubName, commit: String, path: String, _ request: MirrorRequest
    ) async throws -> ServerResponse? {
        guard let file = try await listing(name, commit: commit).file(path) else { return nil }
        let fields = Answering.fields(of: file, commit: commit)
        // What a file is, the listing says: nothing is fetched for it.
        if request.method == "HEAD" {
            return .ranged(byteCount: file.byteCount, for: request.request, fields: fields) {
                .stream(byteCount: $0.count) { _ in }
            }
        }
        if let found = try shelf.open(name, commit: commit, path: path),
            found.open.byteCount == file.byteCount, found.file.etag == file.etag
        {
            return .file(found.open, for: request.request, fields: fields)
        }
        let pull = self.pull(name, commit: commit, file: file)
        do {
            // An upstream that refuses is answered for as such, not with a broken file.
            try await pull.begun()
        } catch let error as HubError {
            throw Refused(error, of: name, revision: commit)
        }
        if pull.isComplete, let found = try shelf.open(name, commit: commit, path: path) {
            return .file(found.open, for: request.request, fields: fields)
        }
        return .ranged(byteCount: file.byteCount, for: request.request, fields: fields) { range in
            .stream(byteCount: range.count) { try await pull.send(range, to: $0) }
        }
    }

    /// The transfer of a file, started by the first who wants it.
    private func pull(_ name: HubName, commit: String, file: CommitListing.File) -> Pull {
        let key = "\(name.folderName) \(file.etag)"
        return state.withLock { state in
            if let running = state.pulls[key] { return running }
            let pull = Pull(path: file.path)
            state.pulls[key] = pull
            var options = options
            options.observer = { [weak pull] in pull?.advance(partial: $0, front: $1) }
            let hub = Hub(cache: cache, options: options)
            // Not a child of the request: who asked first may leave, and the others wait.
            Task {
                await self.turns.take()
                do {
                    try await hub.pull(name, commit: commit, path: file.path)
                    pull.finish(at: "\(self.shelf.hub.snapshot(name, commit))/\(file.path)")
                } catch {
                    pull.fail(error)
                }
                self.turns.pass()
                self.state.withLock { $0.pulls[key] = nil }
                self.eviction?.run()
            }
            return pull
        }
    }
}

/// A request that is answered with a refusal.
struct Refused: Error {
    let response: ServerResponse

    init(_ response: ServerResponse) { self.response = response }

    /// The answer of the hub behind the mirror, in the Hub's words.
    init(_ error: HubError, of name: HubName, revision: String) {
        response =
            switch error.meaning {
            case .missingFile: .refusal(404, saying: error.message, code: "EntryNotFound")
            case .missingRevision: .missing(name, revision: revision)
            case .missingRepository: .missing(name)
            case .gated: .refusal(403, saying: error.message, code: "GatedRepo")
            case .unreachable: .refusal(504, saying: error.message)
            case .other: .refusal(502, saying: error.message)
            }
    }
}

extension CommitListing {
    /// Every file that the tree of a commit lists.
    init(commit: String, tree: TreeListing) {
        self.init(
            commit: commit,
            files: tree.files.map { path, file in
                File(path: path, byteCount: file.byteCount, etag: file.etag, object: file.blobID)
            }, modified: 0)
    }
}

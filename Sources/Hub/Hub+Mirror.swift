// The requests of a mirror to the hub behind it: what a revision is, and one file, while it arrives.

package import GraftCache
import GraftTensors

/// A commit, and the list of its files.
package struct KeptListing: Sendable {
    package let commit: String
    package let tree: TreeListing
    /// Whether the hub was not asked, or could not be, and what was kept before is the answer.
    package let isKept: Bool
}

extension Hub {
    /// Finds the commit of a revision, and keeps the list of its files in the cache.
    ///
    /// Where the hub cannot be asked, the commit and the list that are kept already count.
    package func keepListing(
        _ name: HubName, revision: String
    ) async throws -> KeptListing {
        try await onOwnThread { cancellation in
            var errand = try mirrorErrand(name, revision: revision, cancellation)
            return try errand.keepListing()
        }
    }

    /// Fetches one file of a commit into the cache.
    package func pull(_ name: HubName, commit: String, path: String) async throws {
        try await onOwnThread { cancellation in
            var errand = try mirrorErrand(name, revision: commit, cancellation)
            _ = try errand.fetch(Patterns(include: [Patterns.escaped(path)]))
        }
    }

    private func mirrorErrand(
        _ name: HubName, revision: String, _ cancellation: Cancellation
    ) throws -> RepositoryErrand {
        var options = options
        options.revision = revision
        return try RepositoryErrand(
            name.description, options, offline: offline, own: cache,
            http: HTTP(cancellation: cancellation), progress: nil)
    }
}

extension RepositoryErrand {
    /// The commit of the revision and its files, kept where Python keeps them.
    mutating func keepListing() throws -> KeptListing {
        let (commit, tree) = try listing()
        try hub.prepare(name, commit: commit)
        if hub.canHold(name, revision) { try hub.setCommit(name, revision, commit) }
        return KeptListing(commit: commit, tree: tree, isKept: offline || !warnings.isEmpty)
    }
}

extension HubError {
    /// A refusal as another hub would word it.
    package enum Meaning {
        case missingFile, missingRevision, missingRepository, gated, unreachable, other
    }

    /// The meaning of the error for a mirror's client.
    package var meaning: Meaning {
        switch self {
        case .noFile, .nothingWanted: .missingFile
        case .noRevision: .missingRevision
        case .noRepository: .missingRepository
        case .gated: .gated
        default: isRetryable ? .unreachable : .other
        }
    }
}

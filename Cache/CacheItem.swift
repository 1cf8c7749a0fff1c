// One line of the inventory: the smallest thing that is listed, pinned and removed by itself.

/// A commit of a repository, a fetched reference, the features of a model, or measured plans.
public struct CacheItem: Sendable, Equatable {
    /// What an item is.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// A commit of a model of the Hub.
        case model
        /// A commit of a data set of the Hub.
        case dataset
        /// A commit of a program of the Hub.
        case space
        /// A commit of compiled kernels of the Hub.
        case kernel
        /// A file from another place.
        case file
        /// What a backbone made of photos.
        case features
        /// Which code is fastest for each convolution on a processor.
        case plan
    }

    /// What it is.
    public let kind: Kind
    /// `hf://org/name`, the reference that was fetched, `features/<key>` or `plans/<processor>`.
    public let id: String
    /// The commit, of an item of the Hub.
    public let commit: String?
    /// The branches and tags that name the commit.
    public let refs: [String]
    /// The folder of the snapshot or the features, or the file.
    public let path: String
    /// The bytes of its files; those that it shares with others count in each.
    public let byteCount: Int
    /// How many files it has.
    public let fileCount: Int
    /// When the last of them was written, in seconds since 1970.
    public let modified: Int
    /// When graft last used it; else ``modified``.
    public let used: Int
    /// Whether it must stay.
    public let isPinned: Bool

    /// The name of the item alone: `hf://org/name@<commit>`, or the ``id``.
    public var reference: String { commit.map { "\(id)@\($0)" } ?? id }

    /// Whether `text` names the item: its id, the id with a commit or ref, the commit, or
    /// the `model/org/name` and `hf://models/org/name` of Python's `hf cache`.
    public func isNamed(_ text: String) -> Bool {
        let text = Secrets.masked(text)
        if text == id || text == reference || (commit != nil && text == commit) { return true }
        guard commit != nil else { return false }
        let name = id.dropFirst("hf://".count + (kind == .model ? 0 : kind.rawValue.count + 2))
        let base = text.split(separator: "@", maxSplits: 1).map(String.init)
        guard let first = base.first,
            first == id || first == "\(kind.rawValue)/\(name)"
                || first == "hf://\(kind.rawValue)s/\(name)"
        else { return false }
        return base.count == 1 || base[1] == commit || refs.contains(base[1])
    }
}

// What lies in the folder of one repository of Python's Hub cache.

/// A repository in the cache that graft shares with Python's huggingface_hub.
public struct HubRepository: Sendable {
    /// What the Hub keeps.
    public typealias Kind = HubName.Kind

    /// A model, a data set, …
    public let kind: Kind
    /// `organisation/name`, or `name` alone.
    public let name: String
    /// Its folder, absolute.
    public let folder: String
    /// The commits of which files are here, by commit.
    public internal(set) var revisions: [Revision] = []
    /// The files that take room: blobs, and what lies in snapshots where there are no links.
    /// Their paths are relative to the folder.
    public internal(set) var files: [StoredFile] = []
    /// What is left of downloads that did not end, or not yet.
    public internal(set) var partials: [StoredFile] = []
    /// What does not fit together, in words.
    public internal(set) var problems: [String] = []

    /// One commit.
    public struct Revision: Sendable {
        /// 40 hex digits.
        public let commit: String
        /// The branches and tags that name it.
        public internal(set) var refs: [String] = []
        /// Its files.
        public internal(set) var entries: [Entry] = []
        /// When the last of its files was written, in seconds since 1970.
        public internal(set) var modified = 0
    }

    /// One file of a commit.
    public struct Entry: Sendable {
        /// Its path in the repository.
        public let path: String
        /// Which of ``HubRepository/files`` it is.
        public let file: Int
    }

    /// How `graft fetch` takes it: `hf://organisation/name`, `hf://datasets/organisation/name`.
    public var id: String { kind == .model ? "hf://" + name : "hf://\(kind.rawValue)s/\(name)" }

    /// The snapshot of a commit.
    public func snapshot(_ commit: String) -> String { "\(folder)/snapshots/\(commit)" }

    /// The files that revisions name, each once.
    public func fileIndices(of revisions: [Revision]) -> Set<Int> {
        Set(revisions.flatMap { $0.entries.map(\.file) })
    }

    /// The kind and the name that the name of a folder means: `models--org--name`.
    public static func parse(folderName: String) -> (kind: Kind, name: String)? {
        HubName(folderName: folderName).map { ($0.kind, $0.id) }
    }
}

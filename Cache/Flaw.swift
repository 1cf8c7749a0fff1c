// One thing of the caches that is not as it should be, and what mends it.

/// What `graft cache repair` finds.
public struct Flaw: Sendable, Encodable {
    /// What is wrong.
    public enum Kind: String, Sendable, Encodable, CaseIterable {
        /// A link of a snapshot that leads nowhere.
        case danglingLink
        /// Something else than files, folders and links in a snapshot, or a file among snapshots.
        case strayEntry
        /// A branch or tag that names a commit that is not here, or none.
        case danglingRef
        /// A snapshot without a file.
        case emptySnapshot
        /// A repository without a commit.
        case emptyRepository
        /// A listing of a commit that cannot be read.
        case brokenListing
        /// Bytes that are not those that were fetched.
        case damaged
        /// A reference whose file is not here, or has another size.
        case missingContent
        /// A record of graft's own that cannot be read.
        case brokenRecord
        /// What a transfer left that is not running.
        case partial
        /// A blob that no commit names.
        case orphanBlob
        /// A file of graft's own that no reference names.
        case orphanContent
        /// A file of Python's shared store that no repository links to.
        case orphanShared
        /// What does not belong there; it is only shown.
        case foreign
    }

    /// What is wrong.
    public let kind: Kind
    /// Where, absolute.
    public let path: String
    /// The item or repository that it is of; nil where it is of none.
    public let item: String?
    /// What was expected and what was found, where there is more to say.
    public let detail: String?
    /// The bytes that mending it frees.
    public let bytes: Int

    init(
        _ kind: Kind, _ path: String, item: String? = nil, detail: String? = nil, bytes: Int = 0
    ) {
        self.kind = kind
        self.path = path
        self.item = item
        self.detail = detail
        self.bytes = bytes
    }

    /// Whether mending means that something has to be fetched again.
    public var isLoss: Bool {
        switch kind {
        case .danglingLink, .danglingRef, .damaged, .missingContent: true
        default: false
        }
    }
}

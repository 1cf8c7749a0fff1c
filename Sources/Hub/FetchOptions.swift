// What a fetch may be told beyond what to fetch.

public import GraftCache
import GraftSystem

/// How to fetch; the defaults are right for most.
public struct FetchOptions: Sendable {
    /// What kind of repository `hf://name` means; nil for what the reference says, else a model.
    public var kind: HubName.Kind?
    /// The branch, tag or commit; nil for what the reference says, else `main`.
    public var revision: String?
    /// Patterns of the files of a repository that are wanted; all, where there are none.
    public var include: [String] = []
    /// Patterns of those that are not.
    public var exclude: [String] = []
    /// Where Python's huggingface_hub keeps its cache; nil for what the environment says.
    public var hubRoot: String?
    /// A folder to put a repository in as plain files, instead of the cache.
    public var localFolder: String?
    /// Whether files are fetched although they are here.
    public var isForced = false
    /// Whether to only say what would be fetched.
    public var isDryRun = false
    /// Connections for one file; nil for as many as help, up to 16.
    public var connections: Int?
    /// Files at once.
    public var files = 8
    /// Bytes a second, for all connections together; nil for as many as come.
    public var bytesPerSecond: Int?
    /// Hubs that have the same files, for bytes only: what is right, the hub itself says.
    public var mirrors: [String] = []
    /// The hub to ask; nil for `$HF_ENDPOINT`, or the Hugging Face Hub.
    public var endpoint: String?
    /// Hosts that may be asked over plain http, besides this machine: `host` or `host:port`.
    public var plainHTTPHosts: [String] = []
    /// A file that holds the token.
    public var tokenFile: String?
    /// The token itself, before any other.
    public var token: String?
    /// Whether a disk that looks too small is written to anyway.
    public var ignoresSpace = false
    /// Hears how far the partial file of each file goes without a hole, on the thread of the transfer.
    package var observer: (@Sendable (_ partial: String, _ front: Int) -> Void)?
    /// The only files that may come, and what they must be.
    var locked: LockFile.Locked?

    /// The defaults.
    public init() {}

    var transfers: TransferOptions {
        var options = TransferOptions()
        if let connections {
            options.connections = max(1, connections)
            options.isFixed = true
        }
        options.files = max(1, files)
        options.bytesPerSecond = bytesPerSecond
        options.ignoresSpace = ignoresSpace
        if let seconds = Environment.setting("HF_HUB_DOWNLOAD_TIMEOUT").flatMap({ Double($0) }),
            seconds > 0
        {
            options.stallSeconds = seconds
        }
        return options
    }
}

/// A repository, or the wanted part of it, on this machine.
public struct FetchedRepository: Sendable, Encodable {
    /// Whether everything that is wanted is here.
    public enum Completeness: String, Sendable, Encodable {
        /// Every wanted file of the commit is here.
        case complete
        /// Some are not.
        case partial
        /// Nobody wrote down what the commit holds.
        case unknown
    }

    /// One file.
    public struct File: Sendable, Encodable {
        /// Its path in the repository.
        public let path: String
        /// Its size.
        public let byteCount: Int
        /// What proves it: `sha256:…` or `git-sha1:…`.
        public let digest: String
        /// Whether it was here already.
        public let fromCache: Bool
    }

    /// How it was asked for.
    public let reference: String
    /// The repository: `hf://organisation/name`.
    public let repository: String
    /// The branch or tag that was asked for.
    public let revision: String
    /// The commit that it is.
    public let commit: String
    /// The folder with its files.
    public let path: String
    /// The wanted files.
    public let files: [File]
    /// Whether everything that is wanted is here.
    public let completeness: Completeness
    /// What was noticed on the way, for people.
    public let warnings: [String]
}

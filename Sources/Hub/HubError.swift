// What a fetch, a lock or an upload can meet, and what to type about it.

public import GraftCache
public import GraftTensors

/// A reference that could not be fetched, locked or uploaded.
///
/// Addresses in the payloads are shown without user names and passwords; ``message`` masks signatures and tokens too.
public enum HubError: Diagnostic, Equatable {
    // References.
    /// Not in the cache, and no request may be sent.
    case offline(reference: String)
    /// A scheme that is not fetched.
    case unsupportedScheme(String, reference: String)
    /// A registry entry whose address is not one.
    case publishedElsewhere(reference: String, address: String)
    /// Not an `hf://` reference.
    case notRepository(String)
    /// A path that leads out of its repository.
    case leadsOut(String)
    /// Not a `tfhub://` or `kaggle://` reference.
    case notModule(String)
    /// Not a `pypi:` reference.
    case notPackage(String)
    /// Not the name of a revision.
    case notRevision(String)
    /// Not an address.
    case notAddress(String)
    /// Neither `https` nor allowed `http`.
    case insecure(url: String, scheme: String, host: String)

    // What is asked for.
    /// A disk without room for what is missing.
    case noSpace(path: String, needed: Int, free: Int)
    /// None of a repository's files is wanted.
    case nothingWanted(reference: String, fileCount: Int)
    /// No weight file in a repository.
    case noWeights(reference: String)
    /// Files that are missing where no request may be sent.
    case incomplete(reference: String, missing: Int, of: Int, first: String)
    /// A file whose path cannot become one of this machine; how many more there are, and where the others are.
    case refusedPath(
        String, repository: String, RelativePath.Flaw, more: Int, others: Int, folder: String)
    /// Other bytes than the digest says.
    case wrongDigest(url: String, expected: String, found: String)
    /// A local file with other bytes than the digest says.
    case wrongLocalDigest(path: String, expected: String, found: String)
    /// A Git LFS pointer in place of the file.
    case pointer(name: String, byteCount: Int, sha256: String, targetByteCount: Int)
    /// A web page in place of the file, and how it begins.
    case webPage(name: String, isWeights: Bool, start: String)
    /// A module that is not an archive, or a page.
    case notArchive(module: String, address: String, isPage: Bool)
    /// A package that the index does not have; the versions that it has.
    case noPackage(String, version: String?, found: [String])

    // Answers.
    /// The server refuses.
    case refused(Refused)
    /// The hub has disabled the repository.
    case disabled(url: String, status: Int)
    /// The repository is gated.
    case gated(url: String, status: Int, page: String, token: String?)
    /// No such repository, or a private one.
    case noRepository(url: String, status: Int, token: String?)
    /// No such revision.
    case noRevision(url: String, status: Int)
    /// No such file.
    case noFile(url: String, status: Int)
    /// The request failed before an answer came; the number is libcurl's.
    case unreachable(url: String, code: UInt32)
    /// libcurl cannot be used.
    case noLibrary
    /// Out of memory.
    case outOfMemory
    /// The server limits requests, and asks for a longer wait than graft waits; its words or the last refusal.
    case busy(String, waited: Double, wait: Double)
    /// An answer that no hub gives.
    case notAHub(url: String, Expected)
    /// Another status than a file has.
    case unexpectedStatus(url: String, status: Int)
    /// A part of a file where the whole was asked for.
    case unexpectedPart(url: String, range: String?)
    /// Another part than was asked for.
    case wrongPart(url: String, expected: Int, found: String)
    /// A range that cannot be one.
    case brokenRange(url: String, String)
    /// A length that no file has.
    case brokenLength(url: String, String)
    /// Another length than the listing says.
    case wrongLength(url: String, expected: Int, found: Int)
    /// Fewer bytes than the file has.
    case endedEarly(url: String, expected: Int, found: Int)
    /// A signed address that is refused by now.
    case expiredAddress(url: String, status: Int)
    /// No bytes after a place within the file.
    case noBytesAfter(url: String, Int)
    /// A store that refuses to send a large file whole.
    case notSentWhole(url: String)
    /// An answer that is longer than any is.
    case longAnswer(url: String, limit: Int)
    /// An answer for another commit.
    case otherCommit(url: String, expected: String, found: String)
    /// Another file than the part that is here.
    case changedMeanwhile(url: String)
    /// Another file with each request.
    case alwaysChanging(url: String)
    /// A coding that was not asked for.
    case coded(url: String, coding: String)
    /// A listing in pages that contradicts itself.
    case listing(url: String, Listing)
    /// Too many redirects, or one that is not followed.
    case redirect(Redirect)
    /// A package index whose answer is not PEP 691's.
    case notAnIndex(String)

    // Accounts and uploads.
    /// A token that cannot be one.
    case notToken
    /// A file without a token.
    case noTokenInFile(String)
    /// No token where one is needed.
    case noToken(endpoint: String, isUpload: Bool)
    /// A request that only a network can answer.
    case needsNetwork(Need)
    /// A path that cannot be one of the repository.
    case unsafeUpload(path: String, RelativePath.Flaw)
    /// No file to upload.
    case nothingToUpload(path: String)
    /// A file that changed while it was read.
    case changedFile(path: String)
    /// The store refuses a file, in its words.
    case refusedByStore(path: String, reason: String?)

    // Lock files.
    /// A path, which only this machine knows.
    case lockOfPath(String)
    /// A file that is not what its commit lists.
    case notAsListed(path: String)
    /// Something else than is locked.
    case notLocked(name: String, expected: String, found: String)
    /// A reference that is not in the lock file.
    case missing(String, in: String)
    /// No lock file.
    case noLockFile(String)
    /// Not a lock file.
    case notLockFile(String)
    /// A lock file of another version.
    case lockFileVersion(path: String, expected: Int, found: Int)
    /// A lock file that contradicts itself.
    case brokenLockFile(path: String, reference: String?, reason: String)

    /// A server's refusal.
    public struct Refused: Equatable, Sendable {
        /// The address.
        public let url: String
        /// Its host.
        public let host: String
        /// The HTTP status.
        public let status: Int
        /// The words of the server.
        public let said: String?
        /// The number under which it knows the request.
        public let request: String?
        /// The source of the credentials that were sent.
        public let credentials: String?

        package init(
            url: String, host: String, status: Int, said: String? = nil, request: String? = nil,
            credentials: String? = nil
        ) {
            self.url = url
            self.host = host
            self.status = status
            self.said = said
            self.request = request
            self.credentials = credentials
        }
    }

    /// The answer that a hub would give.
    public enum Expected: Equatable, Sendable {
        /// A commit.
        case commit
        /// The fields that name a file.
        case fileFields
        /// A size.
        case size(String)
        /// A size of a file.
        case sizeOf(String)
        /// A list of files.
        case files
        /// A size and digests of a file.
        case digests(of: String)
        /// Sizes whose sum is one.
        case sizes
        /// A list of models.
        case models
        /// An account.
        case account
        /// The way in which a file is uploaded.
        case uploadMode(of: String)
        /// The answer to an upload.
        case uploadAnswer
        /// The commit of an upload.
        case uploadCommit
        /// An answer for a file.
        case answer(for: String)
        /// Parts of a file.
        case parts(of: String, byteCount: Int)
        /// The ETag of a part.
        case partETag
        /// A version of a module, of Kaggle.
        case moduleVersion(module: String)
    }

    /// A contradiction in a listing.
    public enum Listing: Equatable, Sendable {
        /// The same path twice.
        case duplicate(path: String)
        /// A file that the commit names is not in the list.
        case missing(path: String, fileCount: Int)
        /// A file that is a folder too.
        case fileAndFolder(file: String, inside: String)
        /// A page that was there before.
        case repeated
        /// A `Link` that cannot be read.
        case brokenLink(String)
        /// Several next pages.
        case manyNextPages(Int)
        /// A next page at another server.
        case elsewhere(String)
    }

    /// The reason for which a redirect is not followed.
    public enum Redirect: Equatable, Sendable {
        /// Too many.
        case tooMany(url: String, limit: Int)
        /// The same address again.
        case circle(url: String, again: String)
        /// From https to http.
        case downgrade(url: String)
    }

    /// A request that needs the network.
    public enum Need: String, Equatable, Sendable {
        /// An upload.
        case upload = "an upload needs the network"
        /// A search.
        case search = "a search of the Hub needs the network"
        /// The account.
        case account = "the account is known to the hub only, and this is offline"
    }
}

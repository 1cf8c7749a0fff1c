// The words for what a fetch, a lock or an upload can meet.

import CCurl
import GraftCache
import GraftTensors

extension HubError {
    /// The cause in words.
    public var message: String { Secrets.masked(text) }
    /// A step to take.
    public var hint: String? { remedy.map { Secrets.masked($0) } }

    private var text: String {
        switch self {
        case .offline(let reference):
            "`\(reference)` is not in the cache and `--offline` forbids fetching it"
        case .unsupportedScheme(let scheme, let reference):
            "cannot fetch `\(reference)`: `\(scheme)://` is not supported"
        case .publishedElsewhere(let reference, let address):
            "`\(reference)` is published under `\(address)`, which is not an address"
        case .notRepository(let text): "`\(text)` is not a repository"
        case .leadsOut(let text): "`\(text)` names a path that leads out of the repository"
        case .notModule(let text): "`\(text)` is not a module"
        case .notPackage(let text): "`\(text)` is not a package"
        case .notRevision(let text): "`\(text)` is not the name of a revision"
        case .notAddress(let text): "`\(text)` is not an address"
        case .insecure(let url, let scheme, _):
            "refused to fetch `\(url)`: expected `https`, found `\(scheme)`"
        case .noSpace(let path, let needed, let free):
            "not enough space for `\(path)`: expected \(needed) bytes, found \(free) free"
        case .nothingWanted(let reference, let count):
            "`\(reference)`: none of the \(count) files is wanted"
        case .noWeights(let reference): "`\(reference)` contains no weight file that graft reads"
        case .incomplete(let reference, let missing, let count, let first):
            "`\(reference)` is not complete: \(missing) of \(count) files are missing, among them "
                + "`\(first)`"
        case .refusedPath(let path, let repository, let flaw, let more, _, _):
            "`\(path)` of `\(repository)` is refused: \(flaw.rawValue)"
                + (more > 0 ? "; so are \(more) more" : "")
        case .wrongDigest(let url, let expected, let found),
            .wrongLocalDigest(let url, let expected, let found):
            "`\(url)`: digest mismatch: expected `\(expected)`, found `\(found)`"
        case .pointer(let name, let count, let sha256, let target):
            "`\(name)` is a Git LFS pointer of \(count) bytes to sha256:\(sha256), not the file of "
                + "\(target) bytes itself"
        case .webPage(let name, let isWeights, let start):
            "`\(name)` is a web page: expected \(isWeights ? "weights" : "a file"), found `\(start)`"
        case .notArchive(let module, let address, let isPage):
            "`\(module)` is not an archive: expected one under `\(address)`, found "
                + (isPage ? "a page" : "something else")
        case .noPackage(let name, let version, _):
            "the index has no `\(name)`" + (version.map { " of version `\($0)`" } ?? "")
        case .refused(let refused):
            "`\(refused.url)` was refused: expected HTTP status `200`, found `\(refused.status)`"
                + (refused.said.map { ": \($0)" } ?? "")
                + (refused.request.map { " (request \($0))" } ?? "")
        case .disabled(let url, _): "`\(url)` is disabled: the hub does not serve it"
        case .gated(let url, _, _, _):
            "`\(url)` is gated: its authors want to know who reads it"
        case .noRepository(let url, _, _):
            "`\(url)`: there is no such repository, or it is private"
        case .noRevision(let url, _): "`\(url)`: the repository has no such revision"
        case .noFile(let url, _): "`\(url)`: the repository has no such file"
        case .unreachable(let url, let code):
            "cannot fetch `\(url)`: \(String(cString: curl_easy_strerror(CURLcode(rawValue: code))))"
        case .noLibrary: "libcurl failed"
        case .outOfMemory: "out of memory"
        case .busy(let reason, let waited, let wait):
            reason + (waited >= 1 ? ", after \(Int(waited)) s of waiting" : "")
                + ": it asks to wait \(Int(min(wait, 1e9).rounded(.up))) s"
        case .notAHub(let url, .moduleVersion):
            "`\(url)` does not answer as Kaggle: expected `versionNumber`"
        case .notAHub(let url, let expected):
            "`\(url)` does not answer as a hub: expected \(expected.words)"
        case .unexpectedStatus(let url, let status):
            "`\(url)` answered with HTTP status `\(status)`: expected `200` and a file"
        case .unexpectedPart(let url, let range):
            "`\(url)` answered with a part of a file: expected HTTP status `200`, found `206` with "
                + "`\(range ?? "no range")`"
        case .wrongPart(let url, let expected, let found):
            "`\(url)` answered with other bytes than asked for: expected those from \(expected), "
                + "found `\(found)`"
        case .brokenRange(let url, let range): "`\(url)` answered with the range `\(range)`"
        case .brokenLength(let url, let length):
            "`\(url)` answered with `Content-Length: \(length)`, which no file has"
        case .wrongLength(let url, let expected, let found):
            "`\(url)`: size mismatch: expected \(expected) bytes, found \(found)"
        case .endedEarly(let url, let expected, let found):
            "`\(url)` ended early: expected \(expected) bytes, found \(found)"
        case .expiredAddress(let url, let status):
            "`\(url)` was refused: expected HTTP status `206`, found `\(status)`"
        case .noBytesAfter(let url, let place): "`\(url)` has no bytes after \(place)"
        case .notSentWhole(let url): "`\(url)` is not sent whole"
        case .longAnswer(let url, let limit):
            "the answer of `\(url)` is longer than \(limit) bytes"
        case .otherCommit(let url, let expected, let found):
            "`\(url)` answered for another commit: expected `\(expected)`, found `\(found)`"
        case .changedMeanwhile(let url): "`\(url)` changed while it was fetched"
        case .alwaysChanging(let url): "`\(url)` is another file with each request"
        case .coded(let url, let coding):
            "`\(url)` answered in the coding `\(coding)`, expected the bytes as they are"
        case .listing(let url, let flaw): flaw.words(url)
        case .redirect(let flaw): flaw.words
        case .notAnIndex(let index): "`\(index)` answered with JSON that is not PEP 691's"
        case .notToken: "`--token` is not a token"
        case .noTokenInFile(let path): "`\(path)` contains no token"
        case .noToken(let endpoint, let isUpload):
            isUpload
                ? "no token: `\(endpoint)` takes uploads of its accounts only"
                : "no token: requests to `\(endpoint)` are anonymous"
        case .needsNetwork(let need): need.rawValue
        case .unsafeUpload(let path, let flaw): "`\(path)` cannot be uploaded: \(flaw.rawValue)"
        case .nothingToUpload(let path): "`\(path)` contains no file to upload"
        case .changedFile(let path): "`\(path)` changed while it was read"
        case .refusedByStore(let path, let reason):
            "`\(path)` is refused by the store: \(reason ?? "no reason given")"
        case .lockOfPath(let reference):
            "`\(reference)` is a path: a lock file lists what others can fetch too"
        case .notAsListed(let path): "`\(path)` is not what its commit lists"
        case .notLocked(let name, let expected, let found):
            "`\(name)` is not what is locked: expected `\(expected)`, found `\(found)`"
        case .missing(let reference, let path):
            "`\(reference)` is not in `\(path)`, and `--locked` takes nothing else"
        case .noLockFile(let path): "there is no lock file at `\(path)`"
        case .notLockFile(let path): "`\(path)` is not a lock file"
        case .lockFileVersion(let path, let expected, let found):
            "`\(path)` is a lock file of format \(found), this graft reads format \(expected)"
        case .brokenLockFile(let path, let reference, let reason):
            "`\(path)` is damaged: " + (reference.map { "`\($0)` " } ?? "") + reason
        }
    }

    private var remedy: String? {
        switch self {
        case .offline, .incomplete: "run once without `--offline`"
        case .needsNetwork(.upload): "run it without `--offline`"
        case .unsupportedScheme:
            "`https://`, `hf://`, `tfhub://`, `kaggle://`, `pypi:` and paths are"
        case .notRepository:
            "expected `hf://organisation/name`, `hf://datasets/organisation/name`, with `@revision` "
                + "and `/file` where wanted"
        case .notModule:
            "expected `tfhub://publisher/name/version` or "
                + "`kaggle://owner/model/framework/variation/version`"
        case .notPackage:
            "expected `pypi:package`, `pypi:package==1.0` or `pypi:package==1.0/file`"
        case .notAddress: "expected `https://host/path`"
        case .insecure(_, let scheme, let host):
            scheme == "http"
                ? "on a network that you trust, allow it with `--allow-http \(host)` or "
                    + "`GRAFT_ALLOW_HTTP=\(host)`"
                : Self.checkAddress
        case .noSpace(_, let needed, let free):
            "free \(needed - free) bytes there (`graft cache gc`), or name another folder"
        case .nothingWanted, .nothingToUpload: "check `--include` and `--exclude`"
        case .noWeights(let reference): "name one of its files: `\(reference)/…`"
        case .refusedPath(_, _, _, _, let others, let folder):
            "the other \(others) files are in `\(folder)`; leave it out with `--exclude`"
        case .wrongDigest:
            "the download was discarded; check the digest, or who answers under that address"
        case .pointer:
            "fetch it from its hub with `graft fetch hf://…`, or run `git lfs pull` in the clone that "
                + "it comes from"
        case .webPage:
            "a login or a confirmation may stand before the file: open its address in a browser"
        case .notArchive:
            "it may have moved: look for its page on kaggle.com and fetch "
                + "`kaggle://owner/model/framework/variation/version`"
        case .noPackage(_, _, let found):
            found.isEmpty ? nil : "it has " + found.joined(separator: ", ")
        case .refused(let refused): refused.remedy
        case .disabled: "its page may say why; look for another publisher of the same files"
        case .gated(_, _, let page, let token):
            "accept its conditions at \(page), then set `HF_TOKEN` to a token of that account"
                + Self.sent(token)
        case .noRepository(_, _, let token):
            "check the name and `--repo-type`; for a private one set `HF_TOKEN`" + Self.sent(token)
        case .noRevision: "check `--revision`, or leave it out for `main`"
        case .noFile: "`graft fetch --dry-run hf://organisation/name` lists its files"
        case .unreachable:
            "check the network, and the proxy and certificates in `https_proxy` and `SSL_CERT_FILE`"
        case .busy: "run the same command again then; `HF_TOKEN` gives a larger quota"
        case .notAHub(_, .moduleVersion(let module)): "name the version: `\(module)/1`"
        case .notAHub: "check `HF_ENDPOINT`"
        case .otherCommit, .listing(_, .repeated), .listing(_, .brokenLink): Self.brokenHub
        case .listing(_, .missing):
            "the hub or a proxy before it lost a page; try again, or ask another hub with "
                + "`HF_ENDPOINT`"
        case .listing(_, .elsewhere): "a list and its pages come from one server"
        case .alwaysChanging: "its server is broken; try again later, or another address"
        case .coded: "a proxy between may do that; try without it"
        case .redirect(.circle): Self.checkAddress
        case .noToken(_, let isUpload):
            isUpload
                ? "set `HF_TOKEN` to a token with write access"
                : "set `HF_TOKEN`, or run `hf auth login`"
        case .unsafeUpload: "rename it, or leave it out with `--exclude`"
        case .lockOfPath:
            "lock a registry name, `hf://`, `https://`, `tfhub://` or `pypi:` reference"
        case .notAsListed: "`graft cache repair`, then lock again"
        case .notLocked:
            "`graft cache repair` removes damaged files; `graft lock` locks what is there now"
        case .missing(let reference, _): "`graft lock \(reference)` adds it"
        case .noLockFile: "`graft lock REFERENCE…` writes one; `--lock-file` names another"
        case .notLockFile: "`graft lock` writes them"
        case .lockFileVersion: "use a newer graft"
        case .brokenLockFile: "regenerate it with `graft lock`"
        case .publishedElsewhere, .leadsOut, .notRevision, .wrongLocalDigest, .noLibrary,
            .outOfMemory, .unexpectedStatus, .unexpectedPart, .wrongPart, .brokenRange,
            .brokenLength, .wrongLength, .endedEarly, .expiredAddress, .noBytesAfter, .notSentWhole,
            .longAnswer,
            .changedMeanwhile, .listing, .redirect, .notAnIndex, .notToken, .noTokenInFile,
            .needsNetwork, .changedFile, .refusedByStore:
            nil
        }
    }

    private static let checkAddress =
        "check the address, and `HF_ENDPOINT` where that names a mirror"
    private static let brokenHub =
        "the hub or a proxy before it is broken; ask another one with `HF_ENDPOINT`"

    private static func sent(_ token: String?) -> String {
        token.map { "; the token of \($0) was sent" } ?? ""
    }
}

extension HubError.Refused {
    fileprivate var remedy: String? {
        switch status {
        case 401, 403:
            credentials.map {
                "the credentials of \($0) were sent and refused: renew them, or unset them for what is "
                    + "public"
            }
                ?? "no credentials were sent; for a hub set `HF_TOKEN`, for another server add "
                + "`machine \(host) login … password …` to ~/.netrc"
        case 404, 410: "check the name: nothing is published there"
        case 429: "too many requests; wait a little, or set `HF_TOKEN` for a larger quota"
        default: nil
        }
    }
}

extension HubError.Expected {
    fileprivate var words: String {
        switch self {
        case .commit: "a commit"
        case .fileFields: "`X-Repo-Commit` and `ETag`"
        case .size(let found): "a size that a file has, not `\(found)`"
        case .sizeOf(let path): "a size of `\(path)`"
        case .files: "a list of files"
        case .digests(let path): "a size and digests of `\(path)`"
        case .sizes: "sizes that files have"
        case .models: "a list of models"
        case .account: "an account"
        case .uploadMode(let path): "how to upload `\(path)`"
        case .uploadAnswer: "the answer to an upload"
        case .uploadCommit: "the commit that an upload made"
        case .answer(let path): "an answer for `\(path)`"
        case .parts(let path, let count): "parts of `\(path)`, which has \(count) bytes"
        case .partETag: "an `ETag` of the part"
        case .moduleVersion: "`versionNumber`"
        }
    }
}

extension HubError.Listing {
    fileprivate func words(_ url: String) -> String {
        switch self {
        case .duplicate(let path): "`\(url)` lists `\(path)` twice, with other content"
        case .missing(let path, let count):
            "`\(url)` is incomplete: `\(path)`, which the commit names, is not in its list of "
                + "\(count) files"
        case .fileAndFolder(let file, let inside):
            "`\(url)` holds `\(file)` as a file and `\(inside)` in it"
        case .repeated: "`\(url)` repeats a page of its list: it would never end"
        case .brokenLink(let field):
            "`\(url)` continues its list with a `Link` that cannot be read: `\(field)`"
        case .manyNextPages(let count): "`\(url)` continues its list at \(count) places"
        case .elsewhere(let next): "`\(url)` continues its list at `\(next)`: refused"
        }
    }
}

extension HubError.Redirect {
    fileprivate var words: String {
        switch self {
        case .tooMany(let url, let limit): "`\(url)` redirects more than \(limit) times"
        case .circle(let url, let again):
            "`\(url)` redirects in a circle: `\(again)` was asked already"
        case .downgrade(let url): "`\(url)` redirects from https to http: refused"
        }
    }
}

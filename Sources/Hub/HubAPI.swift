// What the Hub's API answers: which commit a revision is, what a commit holds, what a file is.

import FoundationEssentials
import GraftCache

/// Asks a hub about repositories.
struct HubAPI {
    let http: HTTP
    let access: HubAccess

    init(_ http: HTTP, _ access: HubAccess) {
        var http = http
        http.endpoint = access.location
        if let seconds = variable("HF_HUB_ETAG_TIMEOUT").flatMap({ Int($0) }), seconds > 0 {
            http.patience = seconds
        }
        self.http = http
        self.access = access
    }

    /// The commit that a branch or tag is now.
    func commit(_ name: HubName, _ revision: String) throws -> String {
        struct Info: Decodable { let sha: String }
        let address =
            "\(access.endpoint)/api/\(name.apiPath)/revision/\(PercentCoding.encoded(revision))"
        let (_, body) = try http.text(try Location(address), credentials: access.credentials)
        guard let info = try? JSONDecoder().decode(Info.self, from: Data(body)),
            HubCache.isCommit(info.sha)
        else { throw noHub(address, "a commit") }
        return info.sha
    }

    /// Every file of a commit, by path; pages are followed to the last.
    func tree(_ name: HubName, _ commit: String) throws -> TreeListing {
        let address =
            "\(access.endpoint)/api/\(name.apiPath)/tree/\(commit)?recursive=true&expand=false"
        var next: Location? = try Location(address)
        var files: [String: TreeListing.File] = [:]
        var pages = 0
        while let location = next {
            let (head, body) = try http.text(location, credentials: access.credentials)
            guard let page = try? JSONDecoder().decode([Entry].self, from: Data(body)) else {
                throw noHub(location.shown, "a list of files")
            }
            for entry in page where entry.type == "file" {
                guard RelativePath.isSafe(entry.path) else {
                    throw HubError(
                        "`\(name)` holds a file whose name leads out of its folder: "
                            + "`\(entry.path)`",
                        hint: "it is refused as a whole; tell its authors")
                }
                guard let file = entry.file else { throw noHub(location.shown, "digests") }
                guard files.updateValue(file, forKey: entry.path).map({ $0 == file }) ?? true else {
                    throw HubError("`\(name)` lists `\(entry.path)` twice, with other content")
                }
            }
            pages += 1
            guard pages <= 10_000 else { throw noHub(address, "an end of its pages") }
            next = try following(head, location)
        }
        if let (file, inside) = RelativePath.conflict(among: Array(files.keys)) {
            throw HubError("`\(name)` holds `\(file)` as a file and `\(inside)` in it")
        }
        let listing = TreeListing(files: files)
        guard listing.byteCount != nil else { throw noHub(address, "sizes that files have") }
        return listing
    }

    /// What a file is, without its bytes.
    struct FileHead {
        let commit: String
        let etag: String
        let byteCount: Int?
    }

    /// Asks what a file is at a revision; redirects are followed as long as they stay with the hub.
    ///
    /// `missing` is called with the commit of which the hub says that it has no such file.
    func head(
        _ name: HubName, _ revision: String, _ path: String, missing: (String) -> Void = { _ in }
    ) throws -> FileHead {
        let start = try location(name, revision, path)
        let head = try http.retrying { try metadata(start, missing) }
        let tag = head.fields["x-linked-etag"] ?? head.fields["etag"] ?? ""
        let etag = String(
            tag.drop { $0 == "W" || $0 == "/" || $0 == "\"" }.prefix { $0 != "\"" })
        guard let commit = head.fields["x-repo-commit"], HubCache.isCommit(commit),
            Files.isPlainName(etag), etag.utf8.count <= 200
        else { throw noHub(access.endpoint, "`X-Repo-Commit` and `ETag`") }
        let isFile = (200..<300).contains(head.status)
        let size =
            head.fields["x-linked-size"] ?? (isFile ? head.fields["content-length"] : nil)
        return FileHead(commit: commit, etag: etag, byteCount: size.flatMap { Int($0) })
    }

    /// Where the bytes of a file are, at the hub and at its mirrors.
    func sources(_ name: HubName, _ revision: String, _ path: String) throws -> [Source] {
        let first = Source(
            location: try location(name, revision, path), credentials: access.credentials)
        return try [first]
            + access.mirrors.map {
                Source(location: try location(name, revision, path, at: $0), credentials: nil)
            }
    }

    private func location(
        _ name: HubName, _ revision: String, _ path: String, at endpoint: String? = nil
    ) throws -> Location {
        try Location(
            "\(endpoint ?? access.endpoint)/\(name.webPath)/resolve/\(PercentCoding.encoded(revision))/"
                + PercentCoding.encoded(path, keeping: "/"))
    }

    /// The answer that describes the file: the last one of the hub itself, before its store.
    private func metadata(_ start: Location, _ missing: (String) -> Void) throws -> Head {
        var location = start
        for _ in 0...20 {
            let token = access.credentials?.header(for: location)
            let head = try http.exchange(
                location, headers: ["Accept-Encoding: identity"] + (token.map { [$0] } ?? []),
                head: true
            ) { _, _ in }
            if (200..<300).contains(head.status) { return head }
            guard (300..<400).contains(head.status), let target = head.fields["location"] else {
                if head.fields["x-error-code"] == "EntryNotFound" {
                    head.fields["x-repo-commit"].map(missing)
                }
                throw http.refusal(location, head)
            }
            let next = http.rewritten(try Location(target, relativeTo: location))
            guard next.origin == start.origin else { return head }
            location = next
        }
        throw HubError("`\(start.shown)` redirects more than 20 times")
    }

    /// The next page: `Link: <address>; rel="next"`.
    private func following(_ head: Head, _ location: Location) throws -> Location? {
        guard let links = head.fields["link"] else { return nil }
        for link in links.split(separator: ",") where link.contains("rel=\"next\"") {
            guard let start = link.firstIndex(of: "<"), let end = link.firstIndex(of: ">"),
                start < end
            else { continue }
            let target = String(link[link.index(after: start)..<end])
            let next = http.rewritten(try Location(target, relativeTo: location))
            guard next.origin == location.origin else {
                throw HubError(
                    "`\(location.shown)` continues its list at `\(next.shown)`: refused",
                    hint: "a list and its pages come from one server")
            }
            return next
        }
        return nil
    }

    private func noHub(_ address: String, _ expected: String) -> HubError {
        HubError(
            "`\(address)` does not answer as a hub: expected \(expected)",
            hint: "check `HF_ENDPOINT`")
    }

    private struct Entry: Decodable {
        let type: String
        let path: String
        let size: Int?
        let oid: String?
        let lfs: Large?
        let xetHash: String?
        struct Large: Decodable {
            let oid: String
            let size: Int
        }

        var file: TreeListing.File? {
            guard let oid, HubCache.isHex(oid, 40), let size, size >= 0 else { return nil }
            if let lfs, !HubCache.isHex(lfs.oid, 64) || lfs.size < 0 { return nil }
            let chunks = xetHash.flatMap { HubCache.isHex($0, 64) ? $0 : nil }
            return TreeListing.File(
                size: size, blobID: oid, sha256: lfs?.oid, largeSize: lfs?.size, chunkHash: chunks)
        }
    }
}

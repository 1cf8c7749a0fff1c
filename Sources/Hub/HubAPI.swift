// What the Hub's API answers: which commit a revision is, what a commit holds, what a file is.

import FoundationEssentials
import GraftCache
import GraftSystem

/// Asks a hub about repositories.
struct HubAPI {
    let http: HTTP
    let access: HubAccess

    init(_ http: HTTP, _ access: HubAccess) {
        var http = http
        http.endpoint = access.location
        if let seconds = Environment.setting("HF_HUB_ETAG_TIMEOUT").flatMap({ Int($0) }),
            seconds > 0
        {
            http.patience = min(seconds, 86_400)
        }
        self.http = http
        self.access = access
    }

    /// A revision as the hub knows it.
    struct Revision {
        let commit: String
        /// The paths that it names; none where it names none.
        let siblings: [String]
    }

    /// What a branch or tag is now.
    func revision(_ name: HubName, _ revision: String) throws -> Revision {
        struct Info: Decodable {
            struct Sibling: Decodable { let rfilename: String }
            let sha: String
            let siblings: [Sibling]?
        }
        let address =
            "\(access.endpoint)/api/\(name.apiPath)/revision/\(PercentCoding.encoded(revision))"
        let (_, body) = try http.text(try Location(address), credentials: access.credentials)
        guard let info = try? JSONDecoder().decode(Info.self, from: Data(body)),
            HubCache.isCommit(info.sha)
        else { throw HubError.notAHub(url: address, .commit) }
        return Revision(
            commit: info.sha, siblings: (info.siblings ?? []).map(\.rfilename))
    }

    /// Every file of a commit, by path; pages are followed to the last.
    func tree(
        _ name: HubName, _ commit: String, siblings: [String] = []
    ) throws -> TreeListing {
        let start = try Location(
            "\(access.endpoint)/api/\(name.apiPath)/tree/\(commit)?recursive=true&expand=false")
        var pages = TreePages(name)
        var next: Location? = start
        while let location = next {
            try pages.ask(location)
            let (head, body) = try http.text(location, credentials: access.credentials)
            try compare(head, with: commit, location)
            try pages.add(body, of: location)
            next = try following(head, location)
        }
        return try pages.listing(start, siblings: siblings)
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
        else { throw HubError.notAHub(url: access.endpoint, .fileFields) }
        if HubCache.isCommit(revision) { try compare(head, with: revision, start) }
        let isFile = (200..<300).contains(head.status)
        let size =
            head.fields["x-linked-size"] ?? (isFile ? head.fields["content-length"] : nil)
        let byteCount = size.flatMap { ByteCount.parsed($0) }
        guard size == nil || byteCount != nil else {
            throw HubError.notAHub(url: start.shown, .size(size ?? ""))
        }
        return FileHead(commit: commit, etag: etag, byteCount: byteCount)
    }

    /// A commit that was asked for is the commit that is answered.
    private func compare(_ head: Head, with commit: String, _ location: Location) throws {
        guard let found = head.fields["x-repo-commit"], found != commit else { return }
        throw HubError.otherCommit(url: location.shown, expected: commit, found: found)
    }

    /// Where the bytes of a file are, at the hub and at its mirrors.
    func sources(_ name: HubName, _ revision: String, _ path: String) throws -> [Source] {
        let first = Source(
            location: try location(name, revision, path), credentials: access.credentials)
        return try [first]
            + access.mirrors.map {
                let location = try location(name, revision, path, at: $0)
                return Source(location: location, credentials: location.credentials)
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
        var redirects = Redirects(start)
        while true {
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
                throw http.refusal(location, head, credentials: access.credentials)
            }
            // Whoever names the commit is the hub, and what it points to is its store.
            let next = try redirects.next(target, of: location, http)
            let isHub = next.origin == start.origin || HubHosts.origins.contains(next.origin)
            guard isHub || head.fields["x-repo-commit"] == nil else { return head }
            location = next
        }
    }

    /// The next page.
    func following(_ head: Head, _ location: Location) throws -> Location? {
        var targets: Set<String> = []
        for field in head.links {
            guard let links = LinkHeader.links(field) else {
                guard field.lowercased().contains("next") else { continue }
                throw HubError.listing(
                    url: location.shown, .brokenLink(String(field.prefix(200))))
            }
            for link in links where link.relations.contains("next") { targets.insert(link.target) }
        }
        guard let target = targets.first else { return nil }
        guard targets.count == 1 else {
            throw HubError.listing(url: location.shown, .manyNextPages(targets.count))
        }
        let next = http.rewritten(try Location(target, relativeTo: location))
        let isHub = [next.origin, location.origin].allSatisfy { HubHosts.origins.contains($0) }
        guard next.origin == location.origin || isHub else {
            throw HubError.listing(url: location.shown, .elsewhere(next.shown))
        }
        return next
    }
}

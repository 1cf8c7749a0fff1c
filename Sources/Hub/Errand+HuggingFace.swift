// `hf://` references, kept in the very layout of Python's huggingface_hub, so that both share one cache.

import GraftCache
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Errand {
    /// `hf://org/name[@revision]/file`.
    func fetchHuggingFace() throws -> Fetched {
        let parts = reference.dropFirst("hf://".count).split(
            separator: "/", omittingEmptySubsequences: false
        ).map(String.init)
        let named = parts.count > 1 ? parts[1].split(separator: "@").map(String.init) : []
        guard parts.count > 2, (1...2).contains(named.count),
            parts.allSatisfy({ Files.isPlainName($0) }), named.allSatisfy({ Files.isPlainName($0) })
        else {
            throw HubError(
                "`\(reference)` is not a file of a repository",
                hint:
                    "expected `hf://organisation/name/file` or `hf://organisation/name@revision/file`"
            )
        }
        let (id, revision) = ("\(parts[0])/\(named[0])", named.count == 2 ? named[1] : "main")
        let file = parts[2...].joined(separator: "/")
        let folder = "\(hubCache)/models--\(parts[0])--\(named[0])"
        let isCommit = revision.utf8.count == 40 && isHex(revision)
        let known =
            isCommit
            ? revision
            : Files.read("\(folder)/refs/\(revision)", limit: 64).map {
                String(decoding: $0, as: UTF8.self)
            }
        if isCommit || hub.offline, let known, Files.isPlainName(known),
            Files.size(of: "\(folder)/snapshots/\(known)/\(file)") != nil
        {
            return try answer("\(folder)/snapshots/\(known)/\(file)", fromCache: true)
        }
        guard !hub.offline else { throw HubError.offline(reference) }

        let endpoint = variable("HF_ENDPOINT") ?? "https://huggingface.co"
        let location = try Location(
            "\(endpoint)/\(id)/resolve/\(percentEncoded(revision))/\(percentEncoded(file, keeping: "/"))"
        )
        let authorization = variable("HF_TOKEN").map { "Bearer " + $0 }
        let head = try http.retrying { try metadata(location, authorization) }
        let tag = head.fields["x-linked-etag"] ?? head.fields["etag"] ?? ""
        let etag = String(
            tag.drop { $0 == "W" || $0 == "/" || $0 == "\"" }.prefix { $0 != "\"" })
        guard let commit = head.fields["x-repo-commit"], commit.utf8.count == 40, isHex(commit),
            Files.isPlainName(etag), etag.utf8.count <= 200
        else {
            throw HubError(
                "`\(endpoint)` does not answer as a hub: no `X-Repo-Commit` or no `ETag`",
                hint: "check `HF_ENDPOINT`")
        }
        let blob = "\(folder)/blobs/\(etag)"
        try Files.makeFolder(folder + "/blobs")
        let locks = "\(hubCache)/.locks/models--\(parts[0])--\(named[0])"
        try Files.makeFolder(locks)
        let isThere = try Files.locked("\(locks)/\(etag).lock") {
            let isThere = Files.size(of: blob) != nil
            if !isThere { try download(location, authorization, etag, to: blob) }
            try link(folder, commit, file, etag)
            // The snapshot is there by now: scanners drop repositories whose ref names none.
            if !isCommit { try writeRef(folder, revision, commit) }
            return isThere
        }
        return try answer("\(folder)/snapshots/\(commit)/\(file)", fromCache: isThere)
    }

    private var hubCache: String {
        let home =
            variable("HF_HOME")
            ?? (variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache") + "/huggingface"
        return variable("HF_HUB_CACHE") ?? home + "/hub"
    }

    /// The answer that describes the file: the last one of the hub itself, before its store.
    private func metadata(_ start: Location, _ authorization: String?) throws -> Head {
        var location = start
        let fields =
            ["Accept-Encoding: identity"] + (authorization.map { ["Authorization: " + $0] } ?? [])
        for _ in 0...20 {
            let head = try http.exchange(location, headers: fields, head: true) { _, _ in }
            if (200..<300).contains(head.status) { return head }
            guard (300..<400).contains(head.status), let target = head.fields["location"] else {
                throw http.refusal(location, head)
            }
            let next = try Location(target, relativeTo: location)
            guard next.origin == start.origin else { return head }
            location = next
        }
        throw HubError("`\(start.text)` redirects more than 20 times")
    }

    private func download(
        _ location: Location, _ authorization: String?, _ etag: String, to blob: String
    ) throws {
        let suffix = ContentHasher.sha256(of: location.text).prefix(8)
        let partial = "\(blob).\(suffix).incomplete"
        let isHash = isHex(etag)
        let download = Download(
            http: http, location: location, partial: partial,
            digest: isHash && etag.utf8.count == 64 ? .sha256(etag) : nil,
            authorization: authorization, progress: progress)
        let sums = try download.run()
        if isHash, etag.utf8.count == 40 {
            let found = try ContentHasher.gitBlob(partial, byteCount: sums.byteCount)
            guard found == etag else {
                download.discard()
                throw HubError.wrongDigest(
                    reference, expected: "git-sha1:" + etag, found: "git-sha1:" + found)
            }
        }
        guard rename(partial, blob) == 0 else { throw FileError("rename to", blob) }
    }

    private func link(_ folder: String, _ commit: String, _ file: String, _ etag: String) throws {
        let path = "\(folder)/snapshots/\(commit)/\(file)"
        let depth = file.split(separator: "/").count + 1
        try Files.makeFolder(String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)))
        let target = String(repeating: "../", count: depth) + "blobs/" + etag
        unlink(path)
        guard symlink(target, path) == 0 || errno == EEXIST else { throw FileError("link", path) }
    }

    private func writeRef(_ folder: String, _ revision: String, _ commit: String) throws {
        try Files.makeFolder(folder + "/refs")
        // Every file under `refs` counts as a ref: the temporary one stays out of it.
        let temporary = "\(folder)/blobs/ref.\(UInt32.random(in: 0 ... .max)).incomplete"
        try Files.write(Array(commit.utf8), to: temporary)
        let path = "\(folder)/refs/\(revision)"
        guard rename(temporary, path) == 0 else { throw FileError("rename to", path) }
    }

    private func answer(_ path: String, fromCache: Bool) throws -> Fetched {
        let sums = try ContentHasher.over(path).finalize()
        if let digest, !digest.matches(sums) {
            throw HubError.wrongDigest(
                reference, expected: digest.description, found: digest.found(sums))
        }
        return Fetched(
            path: path, byteCount: sums.byteCount, sha256: sums.sha256, reference: reference,
            fromCache: fromCache)
    }
}

private func isHex(_ text: String) -> Bool {
    text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
}

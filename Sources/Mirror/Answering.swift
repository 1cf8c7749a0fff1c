// What the Hub answers, from what is in the cache: the protocol without a socket.

import FoundationEssentials
import GraftCache

/// Answers requests as the Hugging Face Hub does.
struct Answering: Sendable {
    let shelf: Shelf
    /// How many entries of a tree go into one answer.
    static let pageSize = 1000

    func answer(_ request: MirrorRequest) -> MirrorAnswer {
        guard ["GET", "HEAD", "POST"].contains(request.method) else {
            return .refusal(405, "this mirror is read-only")
        }
        let parts = request.parts
        if parts.first == "api" { return answerAPI(request, Array(parts.dropFirst())) }
        guard request.method != "POST" else { return .refusal(405, "this mirror is read-only") }
        let kind = HubName.Kind.allCases.first { $0 != .model && parts.first == $0.rawValue + "s" }
        let rest = Array(kind == nil ? parts[...] : parts.dropFirst())
        guard let (name, verb, arguments) = split(kind ?? .model, rest),
            verb == "resolve" || verb == "raw", arguments.count >= 2
        else { return .refusal(404, "this mirror has no such address") }
        return resolve(name, arguments[0], arguments.dropFirst().joined(separator: "/"), request)
    }

    /// The repository that a path begins with, and what follows it.
    private func split(
        _ kind: HubName.Kind, _ parts: [String]
    ) -> (name: HubName, verb: String?, arguments: [String])? {
        let verbs: Set = [
            "resolve", "raw", "revision", "tree", "paths-info", "refs", "auth-check", "commits",
        ]
        let isShort =
            parts.count == 1
            || (parts.count > 1 && verbs.contains(parts[1])
                && !(parts.count > 2 && verbs.contains(parts[2])
                    && HubName(kind, parts[0] + "/" + parts[1]).map(shelf.has) == true))
        let count = isShort ? 1 : 2
        guard parts.count >= count,
            let name = HubName(kind, parts.prefix(count).joined(separator: "/"))
        else { return nil }
        return (name, parts.dropFirst(count).first, Array(parts.dropFirst(count + 1)))
    }

    private func answerAPI(_ request: MirrorRequest, _ parts: [String]) -> MirrorAnswer {
        if parts == ["whoami-v2"] { return whoAmI(request) }
        guard let first = parts.first,
            let kind = HubName.Kind.allCases.first(where: { $0.rawValue + "s" == first })
        else { return .refusal(404, "this mirror has no such address") }
        let rest = Array(parts.dropFirst())
        if rest.isEmpty { return list(kind, request) }
        guard let (name, verb, arguments) = split(kind, rest) else {
            return .refusal(404, "no repository is called so", code: "RepoNotFound")
        }
        guard shelf.has(name) else { return missing(name) }
        if request.method == "POST", verb != "paths-info" {
            return .refusal(405, "this mirror is read-only")
        }
        switch (verb, arguments.count) {
        case (nil, _): return info(name, "main", request)
        case ("auth-check", 0): return .json(["ok": true])
        case ("refs", 0): return refs(name)
        case ("revision", 1): return info(name, arguments[0], request)
        case ("tree", 1...):
            return tree(name, arguments[0], arguments.dropFirst().joined(separator: "/"), request)
        case ("paths-info", 1): return paths(name, arguments[0], request)
        default: return .refusal(404, "this mirror has no such address")
        }
    }

    private struct Person: Encodable {
        let type = "user"
        let id = "0"
        let name = "anonymous"
        let fullname = "Anybody who reads this mirror"
        let orgs: [String] = []
        let auth = ["type": "access_token"]
    }

    /// A mirror has no accounts: whoever shows any token is the same reader.
    private func whoAmI(_ request: MirrorRequest) -> MirrorAnswer {
        request.fields["authorization"] == nil
            ? .refusal(401, "Invalid username or password.") : .json(Person())
    }

    private func missing(_ name: HubName) -> MirrorAnswer {
        .refusal(404, "`\(name.webPath)` is not in this cache", code: "RepoNotFound")
    }

    private func missing(_ name: HubName, revision: String) -> MirrorAnswer {
        .refusal(
            404, "`\(revision)` of `\(name.webPath)` is not in this cache",
            code: "RevisionNotFound")
    }

    // MARK: What there is

    private struct Listed: Encodable {
        let id: String
        let modelId: String
    }

    private func list(_ kind: HubName.Kind, _ request: MirrorRequest) -> MirrorAnswer {
        let wanted = (request.value("search") ?? "").lowercased()
        let author = request.value("author").map { $0.lowercased() + "/" } ?? ""
        let names = shelf.names(kind).filter {
            let name = $0.lowercased()
            return name.hasPrefix(author) && (wanted.isEmpty || name.contains(wanted))
        }
        let limit = request.value("limit").flatMap { Int($0) } ?? 1000
        return .json(names.prefix(max(limit, 0)).map { Listed(id: $0, modelId: $0) })
    }

    private struct Info: Encodable {
        struct Sibling: Encodable {
            let rfilename: String
            let size: Int?
            let blobId: String?
            let lfs: Entry.Large?
        }
        let id: String
        let modelId: String?
        let sha: String
        let lastModified: String
        let isPrivate = false
        let gated = false
        let disabled = false
        let tags: [String] = []
        let downloads = 0
        let likes = 0
        let siblings: [Sibling]

        enum CodingKeys: String, CodingKey {
            case id, modelId, sha, lastModified, gated, disabled, tags, downloads, likes, siblings
            case isPrivate = "private"
        }
    }

    private func info(_ name: HubName, _ revision: String, _ request: MirrorRequest) -> MirrorAnswer
    {
        guard let commit = shelf.commit(name, revision) else {
            return missing(name, revision: revision)
        }
        let (files, modified) = shelf.files(name, commit)
        let blobs = request.isSet("blobs")
        return .json(
            Info(
                id: name.id, modelId: name.kind == .model ? name.id : nil, sha: commit,
                lastModified: Quantity.moment(modified).replacing("Z", with: ".000Z"),
                siblings: files.map {
                    Info.Sibling(
                        rfilename: $0.path, size: blobs ? $0.byteCount : nil,
                        blobId: blobs ? $0.object : nil,
                        lfs: blobs && $0.isLarge ? Entry.Large($0, named: true) : nil)
                }))
    }

    private struct Ref: Encodable {
        let name: String
        let ref: String
        let targetCommit: String
    }

    private func refs(_ name: HubName) -> MirrorAnswer {
        let all = shelf.refs(name)
        let plain = all.filter { !$0.ref.hasPrefix("refs/") }
        func list(_ prefix: String) -> [Ref] {
            all.filter { $0.ref.hasPrefix(prefix) }.map {
                Ref(
                    name: String($0.ref.dropFirst(prefix.utf8.count)), ref: $0.ref,
                    targetCommit: $0.commit)
            }
        }
        // The cache does not say which of its names are tags.
        return .json([
            "branches": plain.map {
                Ref(name: $0.ref, ref: "refs/heads/" + $0.ref, targetCommit: $0.commit)
            },
            "converts": list("refs/convert/"), "tags": [], "pullRequests": list("refs/pr/"),
        ])
    }

    // MARK: Trees

    private struct Entry: Encodable {
        struct Large: Encodable {
            let oid: String?
            let sha256: String?
            let size: Int
            let pointerSize: Int

            init(_ file: Shelf.File, named: Bool = false) {
                oid = named ? nil : file.etag
                sha256 = named ? file.etag : nil
                size = file.byteCount
                pointerSize = file.pointerLength
            }
        }
        let type: String
        let path: String
        let oid: String
        let size: Int
        let lfs: Large?

        init(_ file: Shelf.File) {
            type = "file"
            path = file.path
            oid = file.object
            size = file.byteCount
            lfs = file.isLarge ? Large(file) : nil
        }

        /// A folder; the cache does not keep what git calls it, so that something stands for it.
        init(folder: String, commit: String) {
            type = "directory"
            path = folder
            oid = String(ContentHasher.sha256(of: "\(commit)/\(folder)").prefix(40))
            size = 0
            lfs = nil
        }
    }

    private func tree(
        _ name: HubName, _ revision: String, _ folder: String, _ request: MirrorRequest
    ) -> MirrorAnswer {
        guard let commit = shelf.commit(name, revision) else {
            return missing(name, revision: revision)
        }
        let prefix = folder.isEmpty ? "" : folder + "/"
        let inside = shelf.files(name, commit).files.filter { $0.path.hasBytes(prefix) }
        guard folder.isEmpty || !inside.isEmpty else {
            return .refusal(
                404, "`\(folder)` is not in this cache", code: "EntryNotFound", commit: commit)
        }
        let entries = Self.entries(
            inside, below: prefix, commit: commit, recursive: request.isSet("recursive"))
        let start = min(max(request.value("cursor").flatMap { Int($0) } ?? 0, 0), entries.count)
        let limit = max(1, min(request.value("limit").flatMap { Int($0) } ?? .max, Self.pageSize))
        let end = min(start + limit, entries.count)
        var fields: [String: String] = [:]
        if end < entries.count, let address = nextPage(request, end) {
            fields["Link"] = "<\(address)>; rel=\"next\""
        }
        return .json(Array(entries[start..<end]), fields: fields)
    }

    private static func entries(
        _ files: [Shelf.File], below prefix: String, commit: String, recursive: Bool
    ) -> [Entry] {
        var folders: Set<String> = []
        var entries: [Entry] = []
        for file in files {
            let parts = file.path.droppingBytes(prefix.utf8.count).pathParts
            for depth in 1..<max(parts.count, 1) where recursive || depth == 1 {
                let folder = prefix + parts.prefix(depth).joined(separator: "/")
                if folders.insert(folder).inserted {
                    entries.append(Entry(folder: folder, commit: commit))
                }
            }
            if recursive || parts.count == 1 { entries.append(Entry(file)) }
        }
        return entries
    }

    /// The absolute address of the rest of a list, under the name that the client called us by.
    private func nextPage(_ request: MirrorRequest, _ cursor: Int) -> String? {
        guard let host = request.fields["host"], !host.isEmpty,
            host.utf8.allSatisfy({
                (48...57).contains($0) || (97...122).contains($0 | 0x20)
                    || "-.:[]".utf8.contains($0)
            })
        else { return nil }
        var query = request.query.filter { $0.name != "cursor" }.map {
            "\(PercentCoding.encoded($0.name))=\(PercentCoding.encoded($0.value))"
        }
        query.append("cursor=\(cursor)")
        return "http://\(host)\(request.rawPath)?\(query.joined(separator: "&"))"
    }

    private struct Paths: Decodable { let paths: [String] }

    private func paths(_ name: HubName, _ revision: String, _ request: MirrorRequest)
        -> MirrorAnswer
    {
        guard request.method == "POST" else { return .refusal(405, "expected POST") }
        guard let commit = shelf.commit(name, revision) else {
            return missing(name, revision: revision)
        }
        let wanted =
            (try? JSONDecoder().decode(Paths.self, from: Data(request.body)).paths)
            ?? MirrorRequest.pairs(String(decoding: request.body, as: UTF8.self))
            .filter { $0.name == "paths" }.map(\.value)
        // A request may name as many paths as a repository has files: each is looked up once.
        let files = shelf.files(name, commit).files
        let known = Dictionary(
            files.map { (ExactText($0.path), $0) }, uniquingKeysWith: { first, _ in first })
        let folders = Set(files.flatMap { ExactText($0.path).foldersAbove })
        return .json(
            wanted.prefix(10_000).map { ExactText($0) }.compactMap { path -> Entry? in
                if let file = known[path] { return Entry(file) }
                return folders.contains(path) ? Entry(folder: path.text, commit: commit) : nil
            })
    }

    // MARK: Files

    private func resolve(
        _ name: HubName, _ revision: String, _ path: String, _ request: MirrorRequest
    ) -> MirrorAnswer {
        guard shelf.has(name) else { return missing(name) }
        guard let commit = shelf.commit(name, revision) else {
            return missing(name, revision: revision)
        }
        guard let (file, open) = shelf.open(name, commit, path) else {
            return .refusal(
                404, "`\(path)` of `\(name.webPath)` is not in this cache", code: "EntryNotFound",
                commit: commit)
        }
        var answer = MirrorAnswer()
        let etag = "\"\(file.etag)\""
        answer.fields = [
            "ETag": etag, "X-Repo-Commit": commit, "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        ]
        if file.isLarge {
            answer.fields["X-Linked-Etag"] = etag
            answer.fields["X-Linked-Size"] = "\(file.byteCount)"
        }
        let size = open.byteCount
        answer.body = .file(open, 0..<size)
        guard let text = request.fields["range"],
            request.fields["if-range"].map({ $0 == etag }) ?? true
        else { return answer }
        switch ByteRange(text, of: size) {
        case .whole: return answer
        case .unsatisfiable:
            var refusal = MirrorAnswer.refusal(416, "the file has \(size) bytes", commit: commit)
            refusal.fields["Content-Range"] = "bytes */\(size)"
            return refusal
        case .part(let range):
            answer.status = 206
            answer.fields["Content-Range"] =
                "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
            answer.body = .file(open, range)
            return answer
        }
    }
}

/// What a `Range` asks for.
enum ByteRange: Equatable {
    case whole
    case part(Range<Int>)
    case unsatisfiable

    /// Reads `bytes=5-9`, `bytes=5-` or `bytes=-5`; several ranges and what is none mean the whole.
    init(_ text: String, of size: Int) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        self = .whole
        guard parts.count == 2, parts[0].lowercased() == "bytes" else { return }
        let ends = parts[1].filter { $0 != " " }
            .split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return }
        switch (Int(ends[0]), Int(ends[1])) {
        case (nil, let count?) where ends[0].isEmpty:
            self = count > 0 && size > 0 ? .part(max(0, size - count)..<size) : .unsatisfiable
        case (let first?, nil) where ends[1].isEmpty:
            self = first < size ? .part(first..<size) : .unsatisfiable
        case (let first?, let last?) where first <= last:
            self = first < size ? .part(first..<min(last, size - 1) + 1) : .unsatisfiable
        default: break
        }
    }
}

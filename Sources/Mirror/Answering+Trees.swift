// The API of the Hub that tells which files a commit holds.

import FoundationEssentials
import GraftCache
import GraftServer

/// A file or folder of a tree, as the Hub writes it.
struct TreeEntry: Encodable {
    /// What large-file storage says of a file.
    struct Large: Encodable {
        let oid: String?
        let sha256: String?
        let size: Int
        let pointerSize: Int

        /// `isNamed` as in the information about a repository, where the digest has its own name.
        init(_ file: CommitListing.File, isNamed: Bool = false) {
            oid = isNamed ? nil : file.etag
            sha256 = isNamed ? file.etag : nil
            size = file.byteCount
            pointerSize = file.pointerLength
        }
    }
    let type: String
    let path: String
    let oid: String
    let size: Int
    let lfs: Large?

    init(_ file: CommitListing.File) {
        type = "file"
        path = file.path
        oid = file.object
        size = file.byteCount
        lfs = file.isLarge ? Large(file) : nil
    }

    /// A folder; the cache does not keep git's name of it, so that another digest stands for it.
    init(folder: String, commit: String) {
        type = "directory"
        path = folder
        oid = String(ContentHasher.sha256(of: "\(commit)/\(folder)").prefix(40))
        size = 0
        lfs = nil
    }
}

extension Answering {
    /// The entries of a tree in one answer.
    static let pageSize = 1000
    /// The paths that one request may name.
    static let pathCount = 10_000

    func tree(_ place: Place, for request: MirrorRequest) async throws -> ServerResponse {
        let (name, revision, folder) = (place.name, place.arguments[0], place.path)
        let commit = try await commit(name, revision: revision)
        let listing = try await listing(name, commit: commit)
        guard folder.isEmpty || listing.hasFolder(folder) else {
            return .refusal(
                404, saying: "`\(folder)` is not in this cache", code: "EntryNotFound",
                commit: commit)
        }
        let entries = listing.entries(below: folder, isRecursive: request.isSet("recursive"))
        let start = min(max(request.value("cursor").flatMap { Int($0) } ?? 0, 0), entries.count)
        let limit = max(1, min(request.value("limit").flatMap { Int($0) } ?? .max, Self.pageSize))
        let end = min(start + limit, entries.count)
        var fields = ["X-Repo-Commit": commit]
        if end < entries.count, let address = nextPage(request, cursor: end) {
            fields["Link"] = "<\(address)>; rel=\"next\""
        }
        return .json(Array(entries[start..<end]), fields: fields)
    }

    /// The absolute address of the rest of a list, under the name that the client called us by.
    private func nextPage(_ request: MirrorRequest, cursor: Int) -> String? {
        guard let origin = request.origin else { return nil }
        var query = request.query.filter { $0.name != "cursor" }.map {
            "\(PercentCoding.encoded($0.name))=\(PercentCoding.encoded($0.value))"
        }
        query.append("cursor=\(cursor)")
        return "\(origin)\(request.rawPath)?\(query.joined(separator: "&"))"
    }

    private struct Paths: Decodable { let paths: [String] }

    func paths(_ place: Place, for request: MirrorRequest) async throws -> ServerResponse {
        guard request.method == "POST" else { return .refusal(405, saying: "expected POST") }
        let (name, revision) = (place.name, place.arguments[0])
        let commit = try await commit(name, revision: revision)
        let body = try await request.request.body.collect(upTo: 16 << 20)
        let wanted =
            (try? JSONDecoder().decode(Paths.self, from: Data(body)).paths)
            ?? MirrorRequest.pairs(String(decoding: body, as: UTF8.self))
            .filter { $0.name == "paths" }.map(\.value)
        let listing = try await listing(name, commit: commit)
        return .json(
            wanted.prefix(Self.pathCount).compactMap { path -> TreeEntry? in
                if let file = listing.file(path) { return TreeEntry(file) }
                return listing.hasFolder(path) ? TreeEntry(folder: path, commit: commit) : nil
            })
    }
}

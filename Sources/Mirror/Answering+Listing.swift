// The API of the Hub that lists: repositories, what a repository is, its branches and tags.

import GraftCache
import GraftServer

extension Answering {
    private struct Listed: Encodable {
        let id: String
        let modelId: String
    }

    func list(_ kind: HubName.Kind, for request: MirrorRequest) -> ServerResponse {
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
            let lfs: TreeEntry.Large?
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

    func info(
        _ name: HubName, revision: String, _ request: MirrorRequest
    ) async throws -> ServerResponse {
        let commit = try await commit(name, revision: revision)
        let listing = try await listing(name, commit: commit)
        let blobs = request.isSet("blobs")
        return .json(
            Info(
                id: name.id, modelId: name.kind == .model ? name.id : nil, sha: commit,
                lastModified: Quantity.moment(listing.modified).replacing("Z", with: ".000Z"),
                siblings: listing.files.map {
                    Info.Sibling(
                        rfilename: $0.path, size: blobs ? $0.byteCount : nil,
                        blobId: blobs ? $0.object : nil,
                        lfs: blobs && $0.isLarge ? TreeEntry.Large($0, isNamed: true) : nil)
                }))
    }

    private struct Ref: Encodable {
        let name: String
        let ref: String
        let targetCommit: String
    }

    func refs(_ name: HubName) -> ServerResponse {
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
}

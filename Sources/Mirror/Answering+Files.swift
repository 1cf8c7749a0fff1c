// The files of a repository: `resolve` and `raw`.

import GraftCache
import GraftServer

extension Answering {
    func resolve(_ place: Place, for request: MirrorRequest) async throws -> ServerResponse {
        let (name, revision, path) = (place.name, place.arguments[0], place.path)
        let commit = try await commit(name, revision: revision)
        if let upstream = upstream(of: name) {
            guard RelativePath.isSafe(path),
                let answer = try await upstream.resolve(name, commit: commit, path: path, request)
            else { return missing(path, of: name, commit: commit) }
            if request.method == "GET" {
                shelf.recordUse(of: name, commit: commit, in: usage)
            }
            return answer
        }
        guard let found = try shelf.open(name, commit: commit, path: path) else {
            return missing(path, of: name, commit: commit)
        }
        let fields = Self.fields(of: found.file, commit: commit)
        let answer = ServerResponse.file(found.open, for: request.request, fields: fields)
        if request.method == "GET", case .file(_, let range) = answer.body, range.lowerBound == 0 {
            shelf.recordUse(of: name, commit: commit, in: usage)
        }
        return answer
    }

    func missing(_ path: String, of name: HubName, commit: String) -> ServerResponse {
        .refusal(
            404, saying: "`\(path)` of `\(name.webPath)` is not in this cache",
            code: "EntryNotFound",
            commit: commit)
    }

    static func fields(of file: CommitListing.File, commit: String) -> [String: String] {
        let etag = "\"\(file.etag)\""
        var fields = [
            "ETag": etag, "X-Repo-Commit": commit, "Content-Type": "application/octet-stream",
        ]
        if file.isLarge {
            fields["X-Linked-Etag"] = etag
            fields["X-Linked-Size"] = "\(file.byteCount)"
        }
        return fields
    }
}

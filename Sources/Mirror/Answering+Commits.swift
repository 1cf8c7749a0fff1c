// Commits as clients send them: a line of JSON per change, read as they come.

import FoundationEssentials
import GraftCache
import GraftServer

/// A line of a commit.
private struct CommitLine: Decodable {
    struct Value: Decodable {
        let path: String?
        let content: String?
        let encoding: String?
        let oid: String?
        let algo: String?
        let size: Int?
        let summary: String?
        let description: String?
        let parentCommit: String?
    }
    let key: String
    let value: Value
}

/// Takes lines apart as bytes come, and puts the content of small files among the blobs at once.
private struct CommitReader {
    let name: HubName
    let writer: CommitWriter
    private var rest: [UInt8] = []
    private var number = 0
    private(set) var header: CommitWriter.Header?
    private(set) var changes: [CommitWriter.Change] = []

    init(into name: HubName, by writer: CommitWriter) {
        self.name = name
        self.writer = writer
    }

    mutating func read(_ piece: [UInt8]) throws {
        var start = 0
        for end in piece.indices where piece[end] == UInt8(ascii: "\n") {
            rest += piece[start..<end]
            try take()
            start = end + 1
        }
        rest += piece[start...]
        guard rest.count <= Writing.lineByteCount else { throw flaw(.long) }
    }

    mutating func end() throws { try take() }

    private func flaw(_ reason: CommitWriter.LineFlaw) -> CommitWriter.Flaw {
        .line(number, reason)
    }

    private mutating func take() throws {
        defer { rest = [] }
        guard !rest.isEmpty else { return }
        number += 1
        guard let line = try? JSONDecoder().decode(CommitLine.self, from: Data(rest)) else {
            throw flaw(.notJSON)
        }
        let value = line.value
        if line.key == "header" {
            header = .init(
                summary: value.summary ?? "", description: value.description,
                parentCommit: value.parentCommit)
            return
        }
        guard let path = value.path else { throw flaw(.noPath) }
        switch line.key {
        case "file": changes.append(.put(path: path, try file(value, path: path)))
        case "lfsFile":
            guard let oid = value.oid, let size = value.size, HubCache.isHex(oid, 64),
                (0...LargeFiles.largest).contains(size), value.algo ?? "sha256" == "sha256"
            else { throw flaw(.noDigest(path)) }
            let object = CommitListing.File.pointerObject(sha256: oid, byteCount: size)
            changes.append(
                .put(
                    path: path,
                    TreeListing.File(size: size, blobID: object, sha256: oid, largeSize: size)))
        case "deletedFile": changes.append(.delete(path: path))
        case "deletedFolder": changes.append(.deleteFolder(path: path))
        default: throw flaw(.unknown(line.key))
        }
        guard changes.count <= 1_000_000 else { throw flaw(.tooMany) }
    }

    private func file(_ value: CommitLine.Value, path: String) throws -> TreeListing.File {
        guard let content = value.content else { throw flaw(.noContent(path)) }
        guard value.encoding == "base64" else {
            return try writer.put(Array(content.utf8), into: name)
        }
        guard let bytes = Data(base64Encoded: content) else { throw flaw(.noContent(path)) }
        return try writer.put(Array(bytes), into: name)
    }
}

extension Answering {
    private struct Committed: Encodable {
        let success = true
        let commitOid: String
        let commitUrl: String
        let hookOutput = ""
        let pullRequestUrl: String?
    }

    func commit(
        _ name: HubName, revision: String, _ request: MirrorRequest, with writing: Writing
    ) async throws -> ServerResponse {
        var reader = CommitReader(into: name, by: writing.commits)
        for try await piece in request.request.body { try reader.read(piece) }
        try reader.end()
        guard let header = reader.header else {
            throw CommitWriter.Flaw.line(1, .noHeader)
        }
        let opensPullRequest = request.isSet("create_pr")
        let done = try writing.commits.commit(
            reader.changes, header: header, to: name, revision: revision,
            opensPullRequest: opensPullRequest, author: request.request.holder?.name ?? "")
        let page = "\(request.origin ?? "")/\(name.webPath)"
        return .json(
            Committed(
                commitOid: done.commit, commitUrl: "\(page)/commit/\(done.commit)",
                pullRequestUrl: opensPullRequest
                    ? "\(page)/discussions/\(done.revision.pathLast)" : nil))
    }
}

extension CommitWriter.LineFlaw {
    /// The expected and the found.
    var explanation: String {
        switch self {
        case .long: "it is too long"
        case .notJSON: "expected a JSON object with `key` and `value`"
        case .noPath: "expected a `path`"
        case .noDigest(let path): "expected the SHA-256 and the size of `\(path)`"
        case .noContent(let path): "expected the content of `\(path)` in base64"
        case .unknown(let key): "`\(key)` is not supported"
        case .tooMany: "the commit has too many changes"
        case .noHeader: "expected a line with the key `header`"
        }
    }
}

extension CommitWriter.Flaw {
    /// The refusal of the commit.
    var response: ServerResponse {
        switch self {
        case .exists: .refusal(409, saying: "the repository exists already")
        case .noRevision(let revision):
            .refusal(404, saying: "there is no revision `\(revision)`", code: "RevisionNotFound")
        case .moved(let expected, let found):
            .refusal(
                412,
                saying:
                    "another commit came before: expected the parent `\(expected)`, found `\(found)`"
            )
        case .path(let path, let flaw):
            .refusal(400, saying: "`\(path)` is refused: \(flaw.rawValue)")
        case .conflict(let file, let inside):
            .refusal(400, saying: "`\(file)` cannot be a file and the folder of `\(inside)`")
        case .missing(let path):
            .refusal(404, saying: "there is no file `\(path)`", code: "EntryNotFound")
        case .notUploaded(let path, let oid):
            .refusal(400, saying: "the content `\(oid)` of `\(path)` was not uploaded")
        case .line(let number, let reason):
            .refusal(400, saying: "line \(number) of the commit: \(reason.explanation)")
        case .revision(let name):
            .refusal(
                400,
                saying:
                    "`\(name)` cannot be written: a branch is expected whose name is not a part of "
                    + "another one")
        }
    }
}

// The API of the Hub that writes: repositories, the modes of files, the store of large files, commits.

import FoundationEssentials
import GraftCache
import GraftServer
import GraftTensors

/// The parts of a mirror that writes.
struct Writing: Sendable {
    let commits: CommitWriter
    let files: LargeFiles

    /// Bytes of a file that is sent within the commit, and of a line of a commit.
    static let regularByteCount = 1 << 20
    static let lineByteCount = 24 << 20
    /// Bytes of a whole commit.
    static let commitByteCount = 4 << 30
    /// Files that one question may name.
    static let fileCount = 10_000
}

extension Answering {
    /// The bytes that the body of a request may have.
    func bodyLimit(_ request: ServerRequest) -> Int {
        let usual = 16 << 20
        guard let writing, let asked = MirrorRequest(request) else { return usual }
        if let order = writing.files.order(asked.parts) { return order.byteCount }
        let isCommit = asked.parts.first == "api" && asked.parts.suffix(2).first == "commit"
        return isCommit && mayWrite(asked) ? Writing.commitByteCount : usual
    }

    func mayWrite(_ request: MirrorRequest) -> Bool { request.request.holder?.mayWrite ?? false }

    /// Answers what changes something; nil for other requests.
    func answerWrite(_ request: MirrorRequest) async throws -> ServerResponse? {
        let parts = request.parts
        let isBatch = parts.suffix(4) == ["info", "lfs", "objects", "batch"]
        let verb = parts.suffix(2).first
        let isWrite =
            !["GET", "HEAD"].contains(request.method)
            && (isBatch || parts.starts(with: ["api", "repos"])
                || parts == ["api", "validate-yaml"]
                || parts.first == "api"
                    && ["preupload", "commit", "branch"].contains(verb ?? ""))
        guard isWrite else { return nil }
        guard let writing else { return .readOnly }
        guard request.request.holder != nil else {
            return .refusal(401, saying: "writing needs a token with the role `write`")
        }
        guard mayWrite(request) else {
            return .refusal(403, saying: "this token may read and not write")
        }
        do {
            if parts == ["api", "validate-yaml"] {
                return .json(["errors": [String](), "warnings": []])
            }
            if parts.starts(with: ["api", "repos"]) {
                return try await changeRepositories(request, with: writing)
            }
            if isBatch { return try await batch(request, with: writing) }
            guard let kind = HubName.Kind.allCases.first(where: { $0.rawValue + "s" == parts[1] }),
                parts.count >= 5,
                let name = HubName(kind, parts[2..<(parts.count - 2)].joined(separator: "/"))
            else { return .unknownAddress }
            if let refusal = try await refusal(of: name, with: writing) { return refusal }
            guard let revision = parts.last else { return .unknownAddress }
            switch verb {
            case "preupload":
                return try await preupload(name, revision: revision, request, with: writing)
            case "commit": return try await commit(name, revision: revision, request, with: writing)
            default: return try await branch(name, revision: revision, request, with: writing)
            }
        } catch let flaw as CommitWriter.Flaw {
            return flaw.response
        } catch let flaw as UploadFlaw {
            return flaw.response
        } catch let error as FileError {
            return .refusal(507, saying: error.message)
        }
    }

    /// Answers what has a signed address in the store of large files; nil for other requests.
    func answerStore(_ request: MirrorRequest) async throws -> ServerResponse? {
        guard request.parts.starts(with: ["api", "large-files"]) else { return nil }
        guard let writing else { return .readOnly }
        guard let order = writing.files.order(request.parts) else {
            return .refusal(403, saying: "the signature of this address is not valid: begin again")
        }
        let body = request.request.body
        do {
            switch (request.method, order.verb) {
            case ("PUT", "whole"):
                if !writing.files.has(order.object) {
                    try await writing.files.take(order.object, from: body)
                }
                return .json(["oid": order.object.oid])
            case ("PUT", "part"):
                let etag = try await writing.files.takePart(order, from: body)
                return ServerResponse(fields: ["ETag": etag])
            case ("POST", "complete"):
                try writing.files.complete(order, saying: try await body.collect(upTo: 1 << 20))
                return .json(["oid": order.object.oid])
            case ("POST", "verify"):
                return writing.files.has(order.object)
                    ? .json(["oid": order.object.oid])
                    : .refusal(404, saying: "this file is not here")
            default: return .refusal(405, saying: "expected another method")
            }
        } catch let flaw as UploadFlaw {
            return flaw.response
        } catch let error as FileError {
            return .refusal(507, saying: error.message)
        }
    }

    /// The refusal of a change to a repository; nil where it may be changed.
    private func refusal(of name: HubName, with writing: Writing) async throws -> ServerResponse? {
        if let upstream, !writing.commits.isHosted(name) {
            return .refusal(
                403,
                saying: "`\(name.webPath)` is a copy of \(upstream.address), where it is changed")
        }
        return shelf.has(name) ? nil : .missing(name)
    }

    // MARK: Repositories

    private struct Creation: Decodable {
        let name: String
        let organization: String?
        let type: String?
    }

    private func changeRepositories(
        _ request: MirrorRequest, with writing: Writing
    ) async throws -> ServerResponse {
        guard request.parts == ["api", "repos", "create"], request.method == "POST" else {
            return .refusal(
                501,
                saying: "this server does not delete, move or configure repositories: "
                    + "`graft cache rm` removes one")
        }
        let body = try await request.request.body.collect(upTo: 1 << 20)
        guard let wanted = try? JSONDecoder().decode(Creation.self, from: Data(body)) else {
            return .refusal(400, saying: "expected a JSON object with `name`")
        }
        let owner = wanted.organization ?? request.request.holder?.name ?? ""
        let type = wanted.type ?? "model"
        guard let kind = HubName.Kind(rawValue: type) else {
            return .refusal(
                400, saying: "expected the type model, dataset, space or kernel, found `\(type)`")
        }
        let id = wanted.name.contains("/") ? wanted.name : "\(owner)/\(wanted.name)"
        guard let name = HubName(kind, id) else {
            return .refusal(400, saying: "`\(id)` is not a name of a repository")
        }
        struct Created: Encodable {
            let id: String
            let name: String
            let url: String
            let error: String?
        }
        func answer(_ status: Int, _ error: String? = nil) -> ServerResponse {
            .json(
                Created(
                    id: name.id, name: name.id,
                    url: "\(request.origin ?? "")/\(name.webPath)", error: error),
                status: status)
        }
        if let upstream, !writing.commits.isHosted(name) {
            do {
                _ = try await upstream.commit(name, revision: "main")
                return answer(409, "\(upstream.address) has a repository of this name")
            } catch let refused as Refused where refused.response.status == 404 {
                // The name is free.
            }
        }
        do {
            try writing.commits.create(name)
        } catch CommitWriter.Flaw.exists {
            return answer(409, "the repository exists already")
        }
        try writing.commits.host(name)
        return answer(200)
    }

    private func branch(
        _ name: HubName, revision: String, _ request: MirrorRequest, with writing: Writing
    ) async throws -> ServerResponse {
        struct Start: Decodable { let startingPoint: String? }
        guard request.method == "POST" else {
            return .refusal(501, saying: "this server does not delete branches")
        }
        let body = try await request.request.body.collect(upTo: 1 << 20)
        let start = (try? JSONDecoder().decode(Start.self, from: Data(body)))?.startingPoint
        guard let commit = shelf.commit(name, revision: start ?? "main") else {
            return .missing(name, revision: start ?? "main")
        }
        let hub = writing.commits.hub
        guard hub.commit(name, revision) == nil else {
            return .refusal(409, saying: "the branch `\(revision)` exists already")
        }
        guard hub.canHold(name, revision) else {
            return CommitWriter.Flaw.revision(revision).response
        }
        try hub.setCommit(name, revision, commit)
        return .json(["success": true])
    }

    // MARK: Files

    private struct Question: Decodable {
        struct File: Decodable {
            let path: String
            let sample: String?
            let size: Int
        }
        let files: [File]
    }

    private struct Mode: Encodable {
        let path: String
        let uploadMode: String
        let shouldIgnore = false
        let oid: String?
    }

    private func preupload(
        _ name: HubName, revision: String, _ request: MirrorRequest, with writing: Writing
    ) async throws -> ServerResponse {
        let body = try await request.request.body.collect(upTo: 16 << 20)
        guard let question = try? JSONDecoder().decode(Question.self, from: Data(body)),
            question.files.count <= Writing.fileCount
        else { return .refusal(400, saying: "expected a JSON object with `files`") }
        guard let commit = shelf.commit(name, revision: revision) else {
            return .missing(name, revision: revision)
        }
        let known = try writing.commits.listing(name, commit: commit)
        let modes = question.files.map { file in
            let isLarge = Self.isLarge(file.path, sample: file.sample, byteCount: file.size)
            let old = known[file.path]
            let oid = isLarge ? old?.sha256 : old.flatMap { $0.sha256 == nil ? $0.blobID : nil }
            return Mode(path: file.path, uploadMode: isLarge ? "lfs" : "regular", oid: oid)
        }
        return .json(["files": modes])
    }

    /// Whether a file goes to the store of large files: by its size, its extension, or its first bytes.
    static func isLarge(_ path: String, sample: String?, byteCount: Int) -> Bool {
        if byteCount <= 0 { return false }
        if byteCount > Writing.regularByteCount { return true }
        let last = path.pathLast.lowercased()
        if let dot = last.utf8.lastIndex(of: UInt8(ascii: ".")),
            CommitWriter.attributes.contains(String(last[last.utf8.index(after: dot)...]))
        {
            return true
        }
        guard let sample, let bytes = Data(base64Encoded: sample) else { return false }
        return bytes.contains(0)
    }

    private struct Batch: Decodable {
        struct Object: Decodable {
            let oid: String
            let size: Int
        }
        let operation: String
        let objects: [Object]
    }

    private struct BatchAnswer: Encodable {
        struct Action: Encodable {
            let href: String
            let header: [String: String]
        }
        struct Failure: Encodable {
            let code: Int
            let message: String
        }
        struct Object: Encodable {
            let oid: String
            let size: Int
            var actions: [String: Action]?
            var error: Failure?
        }
        let transfer: String
        let objects: [Object]
    }

    private func batch(
        _ request: MirrorRequest, with writing: Writing
    ) async throws -> ServerResponse {
        let parts = Array(request.parts.dropLast(4))
        guard let last = parts.last, last.hasSuffix(".git"),
            let name = Self.name(ofWeb: parts.dropLast() + [String(last.dropLast(4))])
        else { return .unknownAddress }
        if let refusal = try await refusal(of: name, with: writing) { return refusal }
        let body = try await request.request.body.collect(upTo: 16 << 20)
        guard let batch = try? JSONDecoder().decode(Batch.self, from: Data(body)),
            batch.operation == "upload", batch.objects.count <= Writing.fileCount,
            let origin = request.origin
        else {
            return .refusal(400, saying: "expected a Git LFS batch with the operation `upload`")
        }
        var free = Files.freeBytes(at: writing.commits.hub.root) ?? .max
        let objects = try batch.objects.map { object in
            var answer = BatchAnswer.Object(oid: object.oid, size: object.size)
            guard HubCache.isHex(object.oid, 64), (0...LargeFiles.largest).contains(object.size)
            else {
                answer.error = .init(code: 422, message: "not a SHA-256 and a size of a file")
                return answer
            }
            let file = LargeFiles.Object(name: name, oid: object.oid, byteCount: object.size)
            if writing.files.has(file) { return answer }
            guard object.size < free else {
                answer.error = .init(code: 507, message: "the disk has \(free) bytes left")
                return answer
            }
            free -= object.size
            answer.actions = try actions(file, origin: origin, with: writing)
            return answer
        }
        var answer = ServerResponse.json(BatchAnswer(transfer: "multipart", objects: objects))
        answer.fields["Content-Type"] = "application/vnd.git-lfs+json"
        return answer
    }

    private func actions(
        _ file: LargeFiles.Object, origin: String, with writing: Writing
    ) throws -> [String: BatchAnswer.Action] {
        let verify = BatchAnswer.Action(
            href: origin + writing.files.path("verify", of: file), header: [:])
        guard file.byteCount > LargeFiles.wholeByteCount else {
            let href = origin + writing.files.path("whole", of: file)
            return ["upload": .init(href: href, header: [:]), "verify": verify]
        }
        let upload = try writing.files.begin(file)
        let size = LargeFiles.partByteCount(file.byteCount)
        var header = ["chunk_size": "\(size)"]
        for part in 1...((file.byteCount + size - 1) / size) {
            let number = "\(part)"
            let key = String(repeating: "0", count: max(0, 5 - number.utf8.count)) + number
            header[key] = origin + writing.files.path("part", of: file, upload: upload, part: part)
        }
        let href = origin + writing.files.path("complete", of: file, upload: upload)
        return ["upload": .init(href: href, header: header), "verify": verify]
    }
}

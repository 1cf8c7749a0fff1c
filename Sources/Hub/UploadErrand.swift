// Files of this machine into a repository of the Hub: one commit, with large files in its store.

import FoundationEssentials
import GraftCache
import GraftSystem
import GraftTensors

/// What an upload is told beyond what goes where.
public struct UploadOptions: Sendable {
    /// The branch; nil for what the reference says, else `main`.
    public var revision: String?
    /// Whether a pull request is opened instead of a commit on the branch.
    public var opensPullRequest = false
    /// Whether a repository that is made is private.
    public var isPrivate = false
    /// Patterns of the files that are wanted; all, where there are none.
    public var include: [String] = []
    /// Patterns of those that are not.
    public var exclude: [String] = []
    /// Patterns of files of the repository that are removed, where this upload does not hold them.
    public var delete: [String] = []
    /// The commit's message; nil for one that says what is uploaded.
    public var message: String?
    /// Whether to only say what would be sent.
    public var isDryRun = false

    /// The defaults.
    public init() {}
}

/// What an upload did.
public struct Uploaded: Sendable, Encodable {
    /// The repository: `hf://organisation/name`.
    public let repository: String
    /// The commit, or the branch's last one where nothing changed; nil where the hub does not say.
    public let commit: String?
    /// The page of the commit or the pull request.
    public let url: String?
    /// The paths that were sent.
    public let files: [String]
    /// The paths that the repository had already.
    public let unchanged: [String]
    /// The paths that were removed.
    public let deleted: [String]
}

extension Hub {
    /// Puts a file or the files of a folder into a repository of the Hub, as one commit.
    ///
    /// An upload that was interrupted goes on where it stopped.
    /// - Throws: ``HubError`` where the hub refuses, `FileError` for files that cannot be read.
    public func upload(
        _ path: String, to reference: String, _ upload: UploadOptions = UploadOptions(),
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> Uploaded {
        try await onOwnThread { cancellation in
            guard !offline, !HubAccess.isOffline else {
                throw HubError.needsNetwork(.upload)
            }
            return try UploadErrand(
                path, reference, upload, options, own: cache,
                http: HTTP(cancellation: cancellation), progress: progress
            ).run()
        }
    }
}

/// One upload on its way.
struct UploadErrand {
    /// A file of this machine and its path in the repository.
    struct LocalFile {
        let place: String
        let path: String
        let byteCount: Int
    }

    let name: HubName
    let revision: String
    let upload: UploadOptions
    let own: Cache
    let api: HubAPI
    private let files: [LocalFile]
    private let prefix: String
    private let meter: Meter

    /// Counts the bytes that were sent.
    private final class Meter {
        var done = 0
        let total: Int
        let report: (@Sendable (Int64, Int64?) -> Void)?
        init(_ total: Int, _ report: (@Sendable (Int64, Int64?) -> Void)?) {
            self.total = total
            self.report = report
        }
    }

    init(
        _ path: String, _ reference: String, _ upload: UploadOptions, _ options: FetchOptions,
        own: Cache, http: HTTP, progress: (@Sendable (Int64, Int64?) -> Void)?
    ) throws {
        let parsed = try HubReference(reference, kind: options.kind)
        name = parsed.name
        revision = upload.revision ?? parsed.revision ?? "main"
        self.upload = upload
        self.own = own
        api = HubAPI(
            http,
            try HubAccess(
                token: options.token, tokenFile: options.tokenFile, endpoint: options.endpoint))
        guard api.access.credentials != nil else {
            throw HubError.noToken(endpoint: api.access.endpoint, isUpload: true)
        }
        prefix = parsed.path ?? ""
        files = try Self.files(path, under: prefix, upload)
        meter = Meter(files.map(\.byteCount).clampedSum, progress)
    }

    func sent(_ count: Int) {
        meter.done += count
        meter.report?(Int64(meter.done), Int64(meter.total))
    }

    // MARK: Files

    /// The files at a path, in the order of their bytes.
    private static func files(
        _ path: String, under prefix: String, _ upload: UploadOptions
    ) throws -> [LocalFile] {
        guard Files.isFolder(path) else {
            guard let size = Files.size(of: path) else {
                throw FileError(.read, at: path, .noSuchFile)
            }
            let own = Files.absolute(path).pathLast
            let target = prefix.isEmpty ? own : prefix.hasSuffix("/") ? prefix + own : prefix
            return [LocalFile(place: path, path: target, byteCount: size)]
        }
        let patterns = Patterns(include: upload.include, exclude: upload.exclude)
        let base = prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
        var found: [LocalFile] = []
        func visit(_ folder: String, _ inside: String) throws {
            for item in Files.names(in: folder) {
                let (place, path) = ("\(folder)/\(item)", inside + item)
                // The bookkeeping of git and of huggingface_hub is none of the repository's.
                if item == ".git" || path == ".cache" { continue }
                guard let status = FileSystem.find(place, followsLinks: false) else { continue }
                if status.kind == .folder {
                    try visit(place, path + "/")
                } else if let size = Files.size(of: place), patterns.wants(path) {
                    if let flaw = RelativePath.flaw(base + path) {
                        throw HubError.unsafeUpload(path: place, flaw)
                    }
                    found.append(LocalFile(place: place, path: base + path, byteCount: size))
                }
            }
        }
        try visit(path, "")
        guard !found.isEmpty || !upload.delete.isEmpty else {
            throw HubError.nothingToUpload(path: path)
        }
        return found
    }

    // MARK: Steps

    func run() throws -> Uploaded {
        if upload.isDryRun { return answer(nil, nil, files.map(\.path), [], []) }
        try create()
        let modes = try preupload()
        var (lines, sent, unchanged): ([[UInt8]], [String], [String]) = ([], [], [])
        var large: [Large] = []
        for file in files {
            guard let mode = modes[file.path] else {
                throw HubError.notAHub(
                    url: api.access.endpoint, .uploadMode(of: file.path))
            }
            if mode.shouldIgnore ?? false {
                Notices.say("`\(file.path)` is left out: the repository's .gitignore names it")
                continue
            }
            let sums = try ContentHasher.over(file.place, for: .gitBlob("")).finalize()
            guard sums.byteCount == file.byteCount else {
                throw HubError.changedFile(path: file.place)
            }
            let isLarge = mode.uploadMode == "lfs" && file.byteCount > 0
            if let oid = mode.oid, oid == (isLarge ? sums.sha256 : sums.gitBlob) {
                unchanged.append(file.path)
                continue
            }
            sent.append(file.path)
            if isLarge {
                large.append(Large(file: file, sha256: sums.sha256))
                lines.append(
                    try line(
                        "lfsFile",
                        LargeLine(path: file.path, oid: sums.sha256, size: file.byteCount)))
            } else {
                guard let bytes = Files.read(file.place, limit: 1 << 30),
                    ContentHasher.sha256(of: bytes) == sums.sha256
                else { throw HubError.changedFile(path: file.place) }
                lines.append(
                    try line(
                        "file",
                        FileLine(path: file.path, content: Data(bytes).base64EncodedString())))
                self.sent(bytes.count)
            }
        }
        try store(large)
        let deleted = try deletions()
        lines += try deleted.map { try line("deletedFile", ["path": $0]) }
        guard !lines.isEmpty else { return answer(nil, nil, [], unchanged, []) }
        let found = try commit(lines, count: sent.count)
        return answer(
            found.commitOid, found.pullRequestUrl ?? found.commitUrl, sent, unchanged, deleted)
    }

    private func answer(
        _ commit: String?, _ url: String?, _ files: [String], _ unchanged: [String],
        _ deleted: [String]
    ) -> Uploaded {
        Uploaded(
            repository: name.description, commit: commit, url: url, files: files,
            unchanged: unchanged, deleted: deleted)
    }

    /// Makes the repository where there is none.
    private func create() throws {
        struct Creation: Encodable {
            let name: String
            let organization: String?
            let type: String?
            let `private`: Bool?
        }
        let parts = name.id.pathParts
        let body = Creation(
            name: parts.last ?? "", organization: parts.count > 1 ? parts[0] : nil,
            type: name.kind == .model ? nil : name.kind.rawValue,
            private: upload.isPrivate ? true : nil)
        do {
            _ = try api.http.send(
                "POST", try Location(api.access.endpoint + "/api/repos/create"),
                headers: ["Content-Type: application/json"],
                body: .bytes(Array(try JSONEncoder().encode(body))),
                credentials: api.access.credentials)
        } catch let error as HubError where error.status == 409 {
            // It is there already.
        }
    }

    private struct Mode: Decodable {
        let path: String
        let uploadMode: String
        let shouldIgnore: Bool?
        let oid: String?
    }

    /// How the hub wants each file.
    private func preupload() throws -> ByPath<Mode> {
        struct Question: Encodable {
            struct File: Encodable {
                let path: String
                let sample: String
                let size: Int
            }
            let files: [File]
        }
        struct Answer: Decodable { let files: [Mode] }
        var modes = ByPath<Mode>()
        for start in stride(from: 0, to: files.count, by: 256) {
            let some = files[start..<min(start + 256, files.count)]
            let question = Question(
                files: try some.map { file in
                    guard let sample = Files.read(file.place, first: 512) else {
                        throw FileError(.read, at: file.place, .inputOutput)
                    }
                    return .init(
                        path: file.path, sample: Data(sample).base64EncodedString(),
                        size: file.byteCount)
                })
            let answer = try api.http.post(
                try address("preupload"), question, as: Answer.self,
                credentials: api.access.credentials)
            for mode in answer.files { modes[mode.path] = mode }
        }
        return modes
    }

    private func address(_ verb: String) throws -> Location {
        try Location(
            "\(api.access.endpoint)/api/\(name.apiPath)/\(verb)/\(PercentCoding.encoded(revision))"
                + (upload.opensPullRequest ? "?create_pr=1" : ""))
    }

    /// The files of the repository that `--delete` names and this upload does not hold.
    private func deletions() throws -> [String] {
        guard !upload.delete.isEmpty else { return [] }
        let tree = try api.tree(name, try api.revision(name, revision).commit)
        let patterns = Patterns(include: upload.delete)
        let own = Set(files.map { ExactText($0.path) })
        return tree.files.keys.filter { path in
            path.hasBytes(prefix) && patterns.wants(path.droppingBytes(prefix.utf8.count))
                && !own.contains(ExactText(path))
        }
    }

    // MARK: The commit

    private struct FileLine: Encodable {
        let path: String
        let content: String
        let encoding = "base64"
    }

    private struct LargeLine: Encodable {
        let path: String
        let algo = "sha256"
        let oid: String
        let size: Int
    }

    private struct Line<Value: Encodable>: Encodable {
        let key: String
        let value: Value
    }

    private func line(_ key: String, _ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(Line(key: key, value: value))) + [10]
    }

    private struct CommitAnswer: Decodable {
        let commitOid: String?
        let commitUrl: String?
        let pullRequestUrl: String?
    }

    private func commit(_ lines: [[UInt8]], count: Int) throws -> CommitAnswer {
        let summary = upload.message ?? "Upload \(count) file\(count == 1 ? "" : "s") with graft"
        let header = try line("header", ["summary": summary, "description": ""])
        let (_, body) = try api.http.send(
            "POST", try address("commit"), headers: ["Content-Type: application/x-ndjson"],
            body: .bytes(header + lines.flatMap { $0 }), credentials: api.access.credentials)
        guard let answer = try? JSONDecoder().decode(CommitAnswer.self, from: Data(body)) else {
            throw HubError.notAHub(url: api.access.endpoint, .uploadCommit)
        }
        return answer
    }
}

// Commits of a writable mirror: what a client wants changed becomes a snapshot that Python's tools read.

import FoundationEssentials
import GraftCache
import GraftServer
import GraftTensors

/// Writes commits into the Hub cache.
struct CommitWriter: Sendable {
    let shelf: Shelf
    let cache: Cache

    var hub: HubCache { shelf.hub }

    /// A line of a commit.
    enum Change: Sendable {
        case put(path: String, TreeListing.File)
        case delete(path: String)
        case deleteFolder(path: String)
    }

    /// The header of a commit.
    struct Header: Decodable, Sendable {
        let summary: String
        let description: String?
        let parentCommit: String?
    }

    /// Why a line of a commit is not taken.
    enum LineFlaw {
        case long, notJSON, noPath, tooMany, noHeader
        case noDigest(String)
        case noContent(String)
        case unknown(String)
    }

    /// Why a commit is not written.
    enum Flaw: Error {
        case exists
        case noRevision(String)
        case moved(expected: String, found: String)
        case path(String, RelativePath.Flaw)
        case conflict(file: String, inside: String)
        case missing(String)
        case notUploaded(path: String, oid: String)
        case line(Int, LineFlaw)
        case revision(String)
    }

    /// The files that large-file storage takes, as the Hub lists them in a new repository.
    static let attributes =
        [
            "7z", "arrow", "bin", "bz2", "ckpt", "ftz", "gz", "h5", "joblib", "keras", "mlmodel",
            "model", "msgpack", "npy", "npz", "onnx", "ot", "parquet", "pb", "pickle", "pkl", "pt",
            "pth", "rar", "safetensors", "tar", "tflite", "tgz", "wasm", "xz", "zip", "zst",
        ]

    private static var attributesFile: [UInt8] {
        let lines = attributes.map { "*.\($0) filter=lfs diff=lfs merge=lfs -text\n" }
        return Array(lines.joined().utf8)
    }

    // MARK: Repositories

    private func lock(_ name: HubName) -> String { hub.lock(name, "commit") }

    /// Makes a repository with one commit, as the Hub does.
    func create(_ name: HubName) throws {
        try Files.makeFolder("\(hub.root)/.locks/\(name.folderName)")
        try Files.locked(lock(name)) {
            guard !Files.isFolder(hub.folder(name) + "/snapshots") else { throw Flaw.exists }
            try Files.makeFolder(hub.blobs(name))
            let file = try put(Self.attributesFile, into: name)
            var files = ByPath<TreeListing.File>()
            files[".gitattributes"] = file
            let commit = Self.commitName(["initial commit", "\(Quantity.now)", name.description])
            try write(name, commit: commit, files: files, revision: "main")
        }
    }

    /// Whether a repository was made here, and does not mirror another hub's.
    func isHosted(_ name: HubName) -> Bool { Files.size(of: mark(name)) != nil && shelf.has(name) }

    /// Notes that a repository was made here.
    func host(_ name: HubName) throws {
        try Files.makeFolder(cache.root + "/hosted")
        try Files.write(Array((name.description + "\n").utf8), to: mark(name))
    }

    private func mark(_ name: HubName) -> String { "\(cache.root)/hosted/\(name.folderName)" }

    // MARK: Content

    /// Puts the bytes of a small file among the blobs.
    func put(_ bytes: [UInt8], into name: HubName) throws -> TreeListing.File {
        let object = ContentHasher.gitBlob(of: bytes)
        let place = hub.blob(name, object)
        if Files.size(of: place) != bytes.count {
            try Files.makeFolder(hub.blobs(name))
            try Files.write(bytes, to: place)
        }
        return TreeListing.File(size: bytes.count, blobID: object)
    }

    // MARK: Commits

    /// The files of a commit: its list, or the files that are here where none was kept.
    func listing(_ name: HubName, commit: String) throws -> ByPath<TreeListing.File> {
        if let tree = TreeListing.read(hub.tree(name, commit)) { return tree.files }
        var files = ByPath<TreeListing.File>()
        for file in try shelf.listing(name, commit: commit).files {
            files[file.path] = TreeListing.File(
                size: file.byteCount, blobID: file.object,
                sha256: file.isLarge ? file.etag : nil,
                largeSize: file.isLarge ? file.byteCount : nil)
        }
        return files
    }

    /// Writes a commit on a revision; its name, and the revision where it went.
    ///
    /// With `opensPullRequest` the branch stays, and the commit is the revision `refs/pr/<number>`.
    func commit(
        _ changes: [Change], header: Header, to name: HubName, revision: String,
        opensPullRequest: Bool, author: String
    ) throws -> (commit: String, revision: String) {
        try Files.locked(lock(name)) {
            guard let parent = shelf.commit(name, revision: revision) else {
                throw Flaw.noRevision(revision)
            }
            if let expected = header.parentCommit, expected != parent {
                throw Flaw.moved(expected: expected, found: parent)
            }
            var files = try listing(name, commit: parent)
            for change in changes { try apply(change, to: &files, of: name) }
            if let conflict = RelativePath.conflict(among: files.keys) {
                throw Flaw.conflict(file: conflict.file, inside: conflict.inside)
            }
            let target = opensPullRequest ? nextPullRequest(name) : revision
            guard opensPullRequest || !HubCache.isCommit(revision), hub.canHold(name, target) else {
                throw Flaw.revision(target)
            }
            let content = files.keys.map { "\($0) \(files[$0]?.etag ?? "")" }
            let commit = Self.commitName(
                [parent, header.summary, header.description ?? "", author, "\(Quantity.now)"]
                    + content)
            try write(name, commit: commit, files: files, revision: target)
            return (commit, target)
        }
    }

    private func apply(
        _ change: Change, to files: inout ByPath<TreeListing.File>, of name: HubName
    ) throws {
        switch change {
        case .put(let path, let file):
            if let flaw = RelativePath.flaw(path) { throw Flaw.path(path, flaw) }
            guard Files.size(of: hub.blob(name, file.etag)) == file.byteCount else {
                throw Flaw.notUploaded(path: path, oid: file.etag)
            }
            files[path] = file
        case .delete(let path):
            guard files.removeValue(forKey: path) != nil else { throw Flaw.missing(path) }
        case .deleteFolder(let path):
            let prefix = path.hasSuffix("/") ? path : path + "/"
            for file in files.keys where file.hasBytes(prefix) { files.removeValue(forKey: file) }
        }
    }

    /// The snapshot first, then its list, then the name: no name ever leads to a part of a commit.
    private func write(
        _ name: HubName, commit: String, files: ByPath<TreeListing.File>, revision: String
    ) throws {
        try hub.prepare(name, commit: commit)
        let links = hub.usesLinks()
        for path in files.keys {
            // Files of a repository that is not here whole stay in the list, as in Python's own cache.
            guard let etag = files[path]?.etag, Files.size(of: hub.blob(name, etag)) != nil else {
                continue
            }
            try hub.place(name, commit, path, etag: etag, links: links, isNew: false)
        }
        try TreeListing(files: files).write(to: hub.tree(name, commit))
        try hub.setCommit(name, revision, commit)
    }

    private func nextPullRequest(_ name: HubName) -> String {
        let taken = Files.names(in: hub.folder(name) + "/refs/refs/pr").compactMap { Int($0) }
        return "refs/pr/\((taken.max() ?? 0) + 1)"
    }

    private static func commitName(_ parts: [String]) -> String {
        ContentHasher.gitBlob(of: Array(parts.joined(separator: "\0").utf8))
    }
}

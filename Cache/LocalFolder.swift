// `--local-dir`: a repository as plain files, with the bookkeeping of Python's huggingface_hub beside them.

import Crypto
import FoundationEssentials
import GraftSystem
public import GraftTensors

/// A folder of files of one repository; what is known of them lies in `.cache/huggingface` in it.
public struct LocalFolder: Sendable {
    /// The folder.
    public let root: String

    /// What was written down when a file was fetched.
    public struct Metadata: Sendable, Equatable {
        /// The commit it was fetched from.
        public let commit: String
        /// The digest that names it.
        public let etag: String

        /// The digest that names a file, and the commit it was fetched from.
        public init(commit: String, etag: String) {
            self.commit = commit
            self.etag = etag
        }
    }

    /// The folder at `root`.
    public init(_ root: String) { self.root = Files.absolute(root) }

    private var bookkeeping: String { root + "/.cache/huggingface" }
    private func note(_ path: String) -> String { beside(path, ".metadata") }
    /// What is held while a file is fetched.
    public func lock(_ path: String) -> String { beside(path, ".lock") }
    /// A name for what is known of a file; a digest stands for one that has no room for the ending.
    private func beside(_ path: String, _ ending: String) -> String {
        let last = path.pathLast
        guard last.utf8.count + ending.utf8.count > 255 else {
            return "\(bookkeeping)/download/\(path)\(ending)"
        }
        let folder = path.pathParent.map { $0 + "/" } ?? ""
        return "\(bookkeeping)/download/\(folder)\(ContentHasher.sha256(of: last))\(ending)"
    }
    /// What a commit holds.
    public func tree(_ commit: String) -> String { "\(bookkeeping)/trees/\(commit).json" }

    /// Makes the folders for a file, and what keeps backups and git away from the bookkeeping.
    public func prepare(_ path: String) throws(FileError) {
        _ = try Folders.open(bookkeeping + "/download", parentOf: path)
        HubCache.tag(bookkeeping)
        let ignore = bookkeeping + "/.gitignore"
        if Files.size(of: ignore) == nil { try? Files.write([42], to: ignore, durably: false) }
    }

    /// A new name for the partial file of `path`.
    public func newPartial(_ path: String, etag: String) -> String {
        let place = note(path)
        let name = place.pathLast
        let sum = Data(Insecure.SHA1.hash(data: Array(name.utf8))).base64EncodedString()
        let safe = String(sum.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
        return "\(UsageRecord.parent(of: place))/\(safe).\(etag).\(HubCache.infix()).incomplete"
    }

    /// What is known of a file that is there and was not touched since; nil otherwise.
    public func metadata(_ path: String) -> Metadata? {
        guard let bytes = Files.read(note(path), limit: 4096) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.count == 3, let time = Double(lines[2]), HubCache.isCommit(String(lines[0])),
            let status = FileSystem.find("\(root)/\(path)"), status.kind == .file
        else { return nil }
        let modified =
            Double(status.modified.seconds) + Double(status.modified.nanoseconds) / 1e9
        guard modified - 1 <= time else { return nil }
        return Metadata(commit: String(lines[0]), etag: String(lines[1]))
    }

    /// Puts a proven file in its place and writes down what it is.
    public func publish(_ partial: String, as path: String, _ metadata: Metadata) throws(FileError)
    {
        let folder = try Folders.open(root, parentOf: path)
        try folder.rename(.path(partial), to: path.pathLast)
        try record(path, metadata)
    }

    /// Writes down what a file that is there is.
    public func record(_ path: String, _ metadata: Metadata) throws(FileError) {
        let now = Clock.moment
        let time = "\(now.seconds).\(now.nanoseconds / 1000 + 1_000_000)".split(separator: ".")
        let text = "\(metadata.commit)\n\(metadata.etag)\n\(time[0]).\(time[1].dropFirst())\n"
        try Files.write(Array(text.utf8), to: note(path), durably: false)
    }
}

// The cache of Python's huggingface_hub: every path in it, and how files get there.

import GraftSystem
import GraftTensors

/// The layout that graft shares with Python, byte for byte (README.md draws it).
public struct HubCache: Sendable {
    /// The folder of it all: `$HF_HUB_CACHE`.
    public let root: String

    /// The cache at `root`, or where Python's huggingface_hub keeps it.
    public init(root: String? = nil) {
        self.root =
            root ?? Self.setting("HF_HUB_CACHE") ?? Self.setting("HUGGINGFACE_HUB_CACHE")
            ?? Self.home + "/hub"
    }

    /// The Hub caches of others, which are read before this one and never written: in the folders of
    /// `$GRAFT_CACHE_PATH`, and in `hub` in them.
    public static var shared: [HubCache] {
        Cache.shared.flatMap { ["\($0.root)", "\($0.root)/hub", "\($0.root)/huggingface/hub"] }
            .filter { Files.isFolder($0) }.map { HubCache(root: $0) }
    }

    /// What the link under a path of a commit leads to: the name of a blob; nil for a file itself.
    package func blobName(_ name: HubName, _ commit: String, _ path: String) -> String? {
        guard
            let target = FileSystem.destination(
                ofLink: "\(snapshot(name, commit))/\(path)"),
            target.pathParent?.pathLast == "blobs"
        else { return nil }
        return target.pathLast
    }

    /// `$HF_HOME`: tokens and caches of huggingface_hub.
    public static var home: String {
        setting("HF_HOME") ?? (setting("XDG_CACHE_HOME") ?? expanded("~/.cache")) + "/huggingface"
    }

    /// A path in the environment, `~` and `$VARIABLE` in it resolved as Python does.
    public static func setting(_ name: String) -> String? {
        Environment.setting(name).map(expanded)
    }

    private static func expanded(_ path: String) -> String {
        let home = Environment.value(of: "HOME") ?? ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.enumerated().map { index, part in
            if index == 0, part == "~" { return home }
            guard part.hasPrefix("$") else { return String(part) }
            let name = part.dropFirst().filter { $0 != "{" && $0 != "}" }
            return Environment.value(of: String(name)) ?? String(part)
        }.joined(separator: "/")
    }

    /// Whether a text is so many lower-case hex digits.
    public static func isHex(_ text: String, _ count: Int) -> Bool {
        Hex.isText(text, count: count)
    }

    /// Whether a name of a revision is a commit, which never changes.
    public static func isCommit(_ revision: String) -> Bool { isHex(revision, 40) }

    // MARK: Paths

    /// The folder of a repository.
    public func folder(_ name: HubName) -> String { "\(root)/\(name.folderName)" }
    /// The folder of its content.
    public func blobs(_ name: HubName) -> String { folder(name) + "/blobs" }
    /// The content that is called `etag`, which must be a plain name.
    public func blob(_ name: HubName, _ etag: String) -> String { "\(blobs(name))/\(etag)" }
    /// The files of a commit.
    public func snapshot(_ name: HubName, _ commit: String) -> String {
        "\(folder(name))/snapshots/\(commit)"
    }
    /// What a commit holds.
    public func tree(_ name: HubName, _ commit: String) -> String {
        "\(folder(name))/trees/\(commit).json"
    }
    /// What is held with `flock` while `etag` is fetched; never deleted.
    public func lock(_ name: HubName, _ etag: String) -> String {
        "\(root)/.locks/\(name.folderName)/\(etag).lock"
    }
    /// The file that says which commit a branch or tag is; nil where that is no path.
    private func ref(_ name: HubName, _ revision: String) -> String? {
        RelativePath.isSafe(revision) ? "\(folder(name))/refs/\(revision)" : nil
    }

    // MARK: Reading

    /// The commit of a revision, as far as this machine knows.
    public func commit(_ name: HubName, _ revision: String) -> String? {
        if Self.isCommit(revision) { return revision }
        guard let path = ref(name, revision), let bytes = Files.read(path, limit: 64) else {
            return nil
        }
        let commit = String(decoding: bytes, as: UTF8.self)
        return Self.isCommit(commit) ? commit : nil
    }

    /// The size of a file of a commit; nil where it is not here.
    public func size(_ name: HubName, _ commit: String, _ path: String) -> Int? {
        Files.size(of: "\(snapshot(name, commit))/\(path)")
    }

    // MARK: Writing

    /// Makes the folders of a repository, and the tag that tells backups to leave it out.
    public func prepare(_ name: HubName, commit: String) throws(any Error) {
        do {
            try Files.makeFolder(blobs(name))
        } catch {
            throw CacheError.unwritable(root, error.errno, variable: "HF_HUB_CACHE")
        }
        try Files.makeFolder(snapshot(name, commit))
        try Files.makeFolder("\(root)/.locks/\(name.folderName)")
        Self.tag(root)
    }

    /// Writes `CACHEDIR.TAG` where it is missing; a folder without one works as well.
    public static func tag(_ folder: String) {
        let path = folder + "/CACHEDIR.TAG"
        guard Files.size(of: path) == nil else { return }
        let text = """
            Signature: 8a477f597d28d172789f06886806bc55
            # This file is a cache directory tag created by huggingface_hub.
            # For information about cache directory tags, see:
            #\thttps://bford.info/cachedir/

            """
        try? Files.write(Array(text.utf8), to: path, durably: false)
    }

    /// Whether a branch or tag can be written down: `main` and `main/x` are a file and a folder here, so
    /// that only one of them can.
    public func canHold(_ name: HubName, _ revision: String) -> Bool {
        guard let path = ref(name, revision) else { return false }
        if Files.isFolder(path) { return false }
        let root = folder(name) + "/refs"
        var above = path
        while let parent = above.pathParent, parent.utf8.count > root.utf8.count {
            if Files.size(of: parent) != nil { return false }
            above = parent
        }
        return true
    }

    /// Writes down which commit a branch or tag is. The snapshot must be there: scanners drop a
    /// repository whose ref names none.
    public func setCommit(_ name: HubName, _ revision: String, _ commit: String) throws(any Error) {
        guard !Self.isCommit(revision), self.commit(name, revision) != commit else { return }
        guard let path = ref(name, revision) else {
            throw FileError(.write, at: revision, .invalidArgument)
        }
        try Files.makeFolder(UsageRecord.parent(of: path))
        // Every file under `refs` counts as a ref: the temporary one stays out of it.
        let temporary = "\(blobs(name))/ref.\(Self.infix()).incomplete"
        try Files.write(Array(commit.utf8), to: temporary, durably: false)
        try Files.move(temporary, to: path)
    }

    /// Writes down that a commit is known not to hold a file.
    public func setMissing(_ name: HubName, _ commit: String, _ path: String) {
        guard Self.isCommit(commit), RelativePath.isSafe(path) else { return }
        let folder = "\(folder(name))/.no_exist/\(commit)"
        guard let parent = try? Folders.open(folder, parentOf: path) else { return }
        _ = try? parent.open(path.pathLast, for: .writing, [.create, .noLink])
    }

    /// Eight random hex digits, which keep names of temporary files apart.
    public static func infix() -> String {
        let digits = String(UInt32.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }

    /// Whether files of snapshots are links to blobs, or the files themselves.
    public func usesLinks() -> Bool {
        if Self.isSet("HF_HUB_DISABLE_SYMLINKS") { return false }
        let probe = "\(root)/.locks/link.\(Self.infix())"
        try? Files.makeFolder(root + "/.locks")
        do {
            try FileSystem.createLink(probe, to: "CACHEDIR.TAG")
        } catch {
            // A cache that cannot be written to has nothing to be put in.
            return error.errno != .notPermitted && !error.errno.isUnsupported
        }
        removeFile(probe)
        return true
    }

    /// Whether a switch of the environment is on, as Python reads them.
    public static func isSet(_ name: String) -> Bool {
        let value = Environment.value(of: name)?.uppercased() ?? ""
        return ["1", "ON", "YES", "TRUE"].contains(value)
    }

    /// Puts the content `etag` under `path` in a commit: as a link, or where `links` is false as a
    /// copy, or as the blob itself where that `isNew` and nothing else needs it.
    public func place(
        _ name: HubName, _ commit: String, _ path: String, etag: String, links: Bool, isNew: Bool
    ) throws(any Error) {
        guard RelativePath.isSafe(path) else {
            throw FileError(.write, at: path, .invalidArgument)
        }
        let parent = try Folders.open(snapshot(name, commit), parentOf: path)
        let last = path.pathLast
        if links {
            let depth = path.utf8.count { $0 == UInt8(ascii: "/") } + 2
            let target = String(repeating: "../", count: depth) + "blobs/" + etag
            do {
                return try parent.createLink(last, to: target)
            } catch {
                guard error.errno == .fileExists else { throw error }
            }
            if parent.destination(ofLink: last) == target { return }
            // Made beside and renamed, so that readers never find nothing.
            let temporary = ".\(Self.infix()).link"
            try parent.createLink(temporary, to: target)
            do {
                try parent.rename(.entry(temporary), to: last)
            } catch {
                try parent.remove(temporary)
                throw error
            }
        } else if isNew {
            try parent.rename(.path(blob(name, etag)), to: last)
        } else {
            try Files.copy(blob(name, etag), to: "\(snapshot(name, commit))/\(path)")
        }
    }
}

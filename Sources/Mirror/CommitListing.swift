// The files of one commit, found by path, with the folders that they lie in.

import GraftCache

/// A commit as a mirror lists it.
struct CommitListing: Sendable {
    /// One file of a commit.
    struct File: Sendable {
        /// The path in the repository.
        let path: String
        /// The size in bytes.
        let byteCount: Int
        /// The SHA-256, 64 hex digits, or git's name of the file, 40.
        let etag: String
        /// Git's name of the file; of a large file, of its pointer.
        let object: String

        var isLarge: Bool { etag.utf8.count == 64 }
        /// The length of the text that git keeps for a large file.
        var pointerLength: Int { Self.pointer(sha256: etag, byteCount: byteCount).utf8.count }

        static func pointer(sha256: String, byteCount: Int) -> String {
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(sha256)\nsize \(byteCount)\n"
        }

        /// Git's name of a file of large-file storage.
        static func pointerObject(sha256: String, byteCount: Int) -> String {
            ContentHasher.gitBlob(of: Array(pointer(sha256: sha256, byteCount: byteCount).utf8))
        }
    }

    let commit: String
    /// The files, in the order of the bytes of their paths.
    let files: [File]
    /// The time at which the last of them came, in seconds since 1970.
    let modified: Int
    private let indices: [ExactText: Int]
    private let folders: Set<ExactText>

    init(commit: String, files: [File], modified: Int) {
        self.commit = commit
        self.modified = modified
        self.files = files.sorted { ExactText($0.path) < ExactText($1.path) }
        var indices: [ExactText: Int] = [:]
        var folders: Set<ExactText> = []
        for (index, file) in self.files.enumerated() {
            let path = ExactText(file.path)
            indices[path] = index
            folders.formUnion(path.foldersAbove)
        }
        self.indices = indices
        self.folders = folders
    }

    func file(_ path: String) -> File? { indices[ExactText(path)].map { files[$0] } }
    func hasFolder(_ path: String) -> Bool { folders.contains(ExactText(path)) }

    /// The entries of a tree: of a folder, or of all folders below it.
    func entries(below folder: String, isRecursive: Bool) -> [TreeEntry] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        var seen: Set<ExactText> = []
        var entries: [TreeEntry] = []
        for file in files where file.path.hasBytes(prefix) {
            let parts = file.path.droppingBytes(prefix.utf8.count).pathParts
            for depth in 1..<max(parts.count, 1) where isRecursive || depth == 1 {
                let inner = prefix + parts.prefix(depth).joined(separator: "/")
                if seen.insert(ExactText(inner)).inserted {
                    entries.append(TreeEntry(folder: inner, commit: commit))
                }
            }
            if isRecursive || parts.count == 1 { entries.append(TreeEntry(file)) }
        }
        return entries
    }
}

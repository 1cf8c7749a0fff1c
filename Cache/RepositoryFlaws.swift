// What does not fit together in one repository of the Hub's cache, by the rules of Python's scanner.

import GraftSystem
import GraftTensors

/// Looks at the links, references and listings of a repository, not at its bytes.
struct RepositoryFlaws {
    private(set) var found: [Flaw] = []
    private let repository: HubRepository

    init(_ repository: HubRepository) {
        self.repository = repository
        let folder = repository.folder
        let commits = Set(repository.revisions.map(\.commit))
        readRefs(folder + "/refs", commits)
        for name in Files.names(in: folder + "/snapshots") where name != ".DS_Store" {
            let path = "\(folder)/snapshots/\(name)"
            if commits.contains(name) {
                readSnapshot(path)
            } else {
                add(.strayEntry, path, "a snapshot is a folder")
            }
        }
        for name in Files.names(in: folder + "/trees") {
            let path = "\(folder)/trees/\(name)"
            if name.hasSuffix(".json") {
                guard TreeListing.read(path) == nil, FileSystem.isReadable(path) else { continue }
                // A later format is not ours to judge.
                guard TreeListing.isBroken(path) else { continue }
                add(.brokenListing, path, "it cannot be read as the listing of a commit")
            } else if name.hasSuffix(".tmp") {
                add(.partial, path, "a listing that was never finished")
            }
        }
        for revision in repository.revisions where revision.entries.isEmpty {
            add(.emptySnapshot, repository.snapshot(revision.commit), "it holds no file")
        }
        if repository.revisions.isEmpty {
            add(.emptyRepository, folder, "it holds no commit")
        }
    }

    private mutating func add(_ kind: Flaw.Kind, _ path: String, _ detail: String) {
        found.append(Flaw(kind, path, item: repository.id, detail: detail))
    }

    /// Every file below `refs` counts as a branch or tag.
    private mutating func readRefs(_ folder: String, _ commits: Set<String>) {
        for name in Files.names(in: folder) where name != ".DS_Store" {
            let path = "\(folder)/\(name)"
            if Files.isFolder(path) {
                readRefs(path, commits)
                continue
            }
            let bytes = Files.read(path, limit: 256) ?? []
            let commit = String(decoding: bytes, as: UTF8.self)
            if !commits.contains(commit) {
                let shown =
                    HubCache.isCommit(commit) ? "`\(commit)`, which is not here" : "no commit"
                add(.danglingRef, path, "it names \(shown)")
            } else if Self.isTemporary(name) {
                add(.partial, path, "a reference that was never finished")
            }
        }
    }

    /// `main.1a2b3c4d.tmp`, as Python writes a reference before it renames it.
    private static func isTemporary(_ name: String) -> Bool {
        let parts = name.split(separator: ".")
        return parts.count >= 3 && parts[parts.count - 1] == "tmp"
            && HubCache.isHex(String(parts[parts.count - 2]), 8)
    }

    private mutating func readSnapshot(_ folder: String) {
        for name in Files.names(in: folder) {
            let path = "\(folder)/\(name)"
            guard let status = FileSystem.find(path, followsLinks: false) else { continue }
            switch status.kind {
            case .folder: readSnapshot(path)
            case .file: break
            case .link:
                guard let found = FileSystem.find(path) else {
                    let destination = FileSystem.destination(ofLink: path) ?? ""
                    add(.danglingLink, path, "it leads to `\(destination)`")
                    continue
                }
                if found.kind != .file {
                    add(.strayEntry, path, "it leads to something that is no file")
                }
            case .other: add(.strayEntry, path, "it is neither file nor folder")
            }
        }
    }
}

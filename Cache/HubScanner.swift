// Reads Python's Hub cache from the disk: 10,000 repositories in a fraction of a second.

import Dispatch
import GraftSystem
import Synchronization

/// Python's Hub cache as it lies on the disk. Nothing is opened for writing.
public struct HubScanner: Sendable {
    /// The folder of it all: `$HF_HUB_CACHE`.
    public let root: String

    /// The cache at `root`, or where Python's huggingface_hub keeps it.
    public init(root: String? = nil) {
        self.root = Files.absolute(HubCache(root: root).root)
    }

    /// Every repository, by name, and the names that do not belong there.
    public func repositories() -> (found: [HubRepository], foreign: [String]) {
        guard let folder = try? OpenFolder(root, followsLinks: true) else { return ([], []) }
        var names: [String] = []
        var foreign: [String] = []
        folder.forEach { name, kind in
            guard ![".locks", "CACHEDIR.TAG", ".DS_Store"].contains(name) else { return }
            guard kind == .folder || kind == .link, HubRepository.parse(folderName: name) != nil
            else {
                if name != SharedStore.folderName || !SharedStore.exists(root) {
                    foreign.append(name)
                }
                return
            }
            names.append(name)
        }
        let found = inParallel(over: names.sorted()) { scan($0, in: folder) }
        return (found.compactMap { $0 }, foreign.sorted())
    }

    /// One repository, by the name of its folder; nil where there is none.
    public func repository(folderName: String) -> HubRepository? {
        guard let folder = try? OpenFolder(root, followsLinks: true) else { return nil }
        return scan(folderName, in: folder)
    }

    private func scan(_ folderName: String, in parent: borrowing OpenFolder) -> HubRepository? {
        guard let (kind, name) = HubRepository.parse(folderName: folderName),
            let folder = try? parent.folder(folderName, followsLinks: true)
        else { return nil }
        var repository = HubRepository(kind: kind, name: name, folder: "\(root)/\(folderName)")
        var indices: [String: Int] = [:]
        if let blobs = try? folder.folder("blobs") {
            blobs.forEach { name, kind in
                guard kind == .file || kind == .link,
                    let status = blobs.find(name, followsLinks: true)
                else { return }
                let shared =
                    kind == .link
                    ? blobs.destination(ofLink: name).flatMap { SharedStore.target($0, root: root) }
                    : nil
                let file = StoredFile("blobs/" + name, status: status, sharedTarget: shared)
                if name.hasSuffix(".incomplete") {
                    repository.partials.append(file)
                } else {
                    indices[name] = repository.files.count
                    repository.files.append(file)
                }
            }
        }
        var refs = readRefs(in: folder)
        if let snapshots = try? folder.folder("snapshots") {
            snapshots.forEach { commit, kind in
                guard kind == .folder else {
                    if commit != ".DS_Store" {
                        repository.problems.append("`snapshots/\(commit)` is not a folder")
                    }
                    return
                }
                var revision = HubRepository.Revision(commit: commit)
                revision.refs = (refs.removeValue(forKey: commit) ?? []).sorted()
                if let snapshot = try? snapshots.folder(commit) {
                    read(snapshot, "", &revision, &repository, indices)
                    if revision.modified == 0 {
                        revision.modified = (try? snapshot.status().modified.seconds) ?? 0
                    }
                }
                repository.revisions.append(revision)
            }
        } else {
            repository.problems.append("there is no folder `snapshots`")
        }
        for (commit, names) in refs.sorted(by: { $0.key < $1.key }) {
            repository.problems.append(
                "`refs/\(names.joined(separator: "`, `refs/"))` names `\(commit)`, which is not here"
            )
        }
        repository.revisions.sort { $0.commit < $1.commit }
        return repository
    }

    /// The files of a snapshot: links into `blobs`, or files where the file system has no links.
    private func read(
        _ folder: borrowing OpenFolder, _ prefix: String, _ revision: inout HubRepository.Revision,
        _ repository: inout HubRepository, _ indices: [String: Int]
    ) {
        var newest = 0
        var entries: [HubRepository.Entry] = []
        var subfolders: [String] = []
        folder.forEach { name, kind in
            let path = prefix + name
            switch kind {
            case .folder: subfolders.append(name)
            case .link:
                let target = folder.destination(ofLink: name) ?? ""
                if let blob = blobName(target), let index = indices[blob] {
                    entries.append(HubRepository.Entry(path: path, file: index))
                    newest = max(newest, repository.files[index].modified)
                } else if let status = folder.find(name, followsLinks: true) {
                    guard status.kind == .file else { return }
                    append(path, status)
                } else {
                    repository.problems.append("`\(path)` of `\(revision.commit)` leads nowhere")
                }
            case .file:
                guard let status = folder.find(name) else { return }
                append(path, status)
            case .other: break
            }
        }
        func append(_ path: String, _ status: FileStatus) {
            entries.append(HubRepository.Entry(path: path, file: repository.files.count))
            newest = max(newest, status.modified.seconds)
            repository.files.append(
                StoredFile("snapshots/\(revision.commit)/\(path)", status: status))
        }
        revision.entries += entries
        revision.modified = max(newest, revision.modified)
        for name in subfolders {
            guard let subfolder = try? folder.folder(name) else { continue }
            read(subfolder, "\(prefix)\(name)/", &revision, &repository, indices)
        }
    }

    /// The names of each commit.
    private func readRefs(in parent: borrowing OpenFolder) -> [String: [String]] {
        var refs: [String: [String]] = [:]
        func visit(_ folder: borrowing OpenFolder, _ prefix: String) {
            folder.forEach { name, kind in
                guard name != ".DS_Store" else { return }
                if kind == .folder {
                    guard let inner = try? folder.folder(name) else { return }
                    visit(inner, "\(prefix)\(name)/")
                } else if let bytes = folder.beginning(of: name, limit: 256) {
                    let commit = String(decoding: bytes, as: UTF8.self)
                    refs[commit, default: []].append(prefix + name)
                }
            }
        }
        if let folder = try? parent.folder("refs") { visit(folder, "") }
        return refs
    }
}

/// The name that follows the last `blobs/` of where a link leads; nil where there is none.
private func blobName(_ target: String) -> String? {
    let bytes = target.utf8
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")),
        bytes[..<slash].suffix(5).elementsEqual("blobs".utf8)
    else { return nil }
    return String(target[bytes.index(after: slash)...])
}

/// The results of `body` for all elements, in order, on every core.
func inParallel<Element: Sendable, Result: Sendable>(
    over elements: [Element], chunk: Int = 64, _ body: @Sendable (Element) -> Result
) -> [Result] {
    let parts = Mutex<[(index: Int, results: [Result])]>([])
    let chunks = (elements.count + chunk - 1) / chunk
    DispatchQueue.concurrentPerform(iterations: chunks) { index in
        let range = index * chunk..<min(elements.count, (index + 1) * chunk)
        let results = elements[range].map(body)
        parts.withLock { $0.append((index, results)) }
    }
    return parts.withLock { $0 }.sorted { $0.index < $1.index }.flatMap(\.results)
}

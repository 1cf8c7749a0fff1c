// What nothing leads to: ends of dead transfers, blobs of no commit, content of no reference.

import GraftSystem

/// Files of the caches that are of no use to anybody.
public struct Litter: Sendable {
    /// One of them.
    public struct Piece: Sendable {
        /// What it is.
        public enum Kind: String, Sendable, Codable {
            /// What a transfer left that is not running.
            case partial
            /// A blob that no commit names.
            case blob
            /// A file of graft's own cache that no reference names.
            case content
            /// A file of the store of Python that no repository links to.
            case shared
        }

        /// What it is.
        public let kind: Kind
        /// Where it is, absolute.
        public let path: String
        /// The bytes that removing it frees.
        public let byteCount: Int
    }

    /// All of it.
    public let pieces: [Piece]
    private let root: String

    /// Looks for litter. What a running program holds a lock of is none.
    public init(of inventory: Inventory) {
        let root = inventory.hub.root
        self.root = root
        var pieces: [Piece] = []
        for repository in inventory.repositories {
            let folderName = repository.folder.pathLast
            func add(_ file: StoredFile, _ kind: Piece.Kind) {
                let name = file.path.pathLast
                let etag = name.prefix { $0 != "." }
                guard !FileLock.isHeld("\(root)/.locks/\(folderName)/\(etag).lock") else { return }
                let freed = file.sharedTarget == nil && file.links == 1 ? file.byteCount : 0
                pieces.append(
                    Piece(kind: kind, path: "\(repository.folder)/\(file.path)", byteCount: freed))
            }
            for file in repository.partials { add(file, .partial) }
            let needed = repository.fileIndices(of: repository.revisions)
            for index in repository.files.indices where !needed.contains(index) {
                add(repository.files[index], .blob)
            }
        }
        let cache = inventory.cache
        for file in inventory.partials {
            let name = file.path.pathLast
            guard !FileLock.isHeld("\(cache.root)/locks/\(name.prefix(64)).lock"),
                !isOfLivingProcess(name)
            else { continue }
            pieces.append(Piece(kind: .partial, path: file.path, byteCount: file.byteCount))
        }
        let known = Set(inventory.entries.map { cache.path(of: $0) })
        for hash in Files.names(in: cache.root + "/blobs/sha256") {
            for name in Files.names(in: "\(cache.root)/blobs/sha256/\(hash)") {
                let path = "\(cache.root)/blobs/sha256/\(hash)/\(name)"
                guard !known.contains(path), let file = StoredFile(path),
                    // The file comes first, its reference a moment later.
                    Quantity.now - file.modified > 60
                else { continue }
                pieces.append(
                    Piece(
                        kind: .content, path: path, byteCount: file.links == 1 ? file.byteCount : 0)
                )
            }
        }
        for payload in SharedStore.payloads(root)
        where !SharedStore.isNeeded(payload.path, root: root) {
            pieces.append(Piece(kind: .shared, path: payload.path, byteCount: payload.byteCount))
        }
        self.pieces = pieces
    }

    /// Removes it; the bytes freed.
    public func remove() throws -> Int {
        var freed = 0
        for piece in pieces {
            switch piece.kind {
            case .shared: freed += SharedStore.sweep(piece.path, root: root)
            case .content:
                freed += try Files.remove(piece.path)
                removeEmptyFolder(UsageRecord.parent(of: piece.path))
            case .partial, .blob: freed += try Files.remove(piece.path)
            }
        }
        return freed
    }
}

/// Whether the process whose number a temporary file begins with still runs.
private func isOfLivingProcess(_ name: String) -> Bool {
    guard let dash = name.firstIndex(of: "-"), let process = Int32(name[..<dash]) else {
        return false
    }
    return CurrentProcess.isRunning(process)
}

// Hashing what is in the caches again, on every core and without a network.

import Crypto
import GraftSystem
import GraftTensors
import Synchronization

/// One file, what it must hash to, and what it hashes to.
public struct FileCheck: Sendable {
    /// How it came out.
    public enum Outcome: Sendable, Equatable {
        /// The bytes are those that were fetched.
        case intact
        /// They are not; both digests with their algorithm.
        case damaged(expected: String, found: String)
        /// The commit has the file, this machine does not.
        case missing
        /// Nothing says what it must hash to.
        case unknown
        /// It cannot be read.
        case unreadable(String)
    }

    /// The item it belongs to; a file that several items share is checked for one of them.
    public let item: CacheItem
    /// Its path within the item.
    public let name: String
    /// Where its bytes are, absolute.
    public let path: String
    /// Its size.
    public let byteCount: Int
    /// How it came out.
    public internal(set) var outcome: Outcome
    fileprivate let proof: Proof

    fileprivate enum Proof: Sendable {
        case sha256(String)
        case gitBlob(String)
        case features
        case plan
        case none
    }
}

/// Checks items: ``checks`` are known at once, ``run(threads:progress:)`` reads the files.
public struct Verification: Sendable {
    /// What will be checked, or was.
    public private(set) var checks: [FileCheck] = []

    /// The check of items of an inventory.
    public init(_ items: [CacheItem], of inventory: Inventory) {
        var seen: Set<ExactText> = []
        let repositories = Dictionary(
            inventory.repositories.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let entries = Dictionary(
            inventory.entries.map { ($0.reference, $0) }, uniquingKeysWith: { first, _ in first })
        func add(
            _ item: CacheItem, _ name: String, _ path: String, _ size: Int,
            _ proof: FileCheck.Proof,
            _ outcome: FileCheck.Outcome = .unknown
        ) {
            guard seen.insert(ExactText(path)).inserted else { return }
            checks.append(
                FileCheck(
                    item: item, name: name, path: path, byteCount: size, outcome: outcome,
                    proof: proof))
        }
        for item in items {
            switch item.kind {
            case .file:
                guard let entry = entries[item.id] else { continue }
                let isThere = Files.size(of: item.path) != nil
                add(
                    item, entry.fileName, item.path,
                    Files.size(of: item.path) ?? entry.byteCount, .sha256(entry.sha256),
                    isThere ? .unknown : .missing)
                let inside = inventory.cache.unpackedListing(entry.sha256)?.files ?? ByPath()
                for (name, file) in inside.sorted(by: { $0.key < $1.key }) {
                    let path = inventory.cache.unpackedPath(entry.sha256) + "/" + name
                    add(
                        item, name, path, file.byteCount, .sha256(file.sha256),
                        Files.size(of: path) != nil
                            ? .unknown
                            : .damaged(
                                expected: "sha256:" + file.sha256, found: "nothing"))
                }
            case .plan:
                add(
                    item, UsageRecord.name(of: item.path), item.path, item.byteCount, .plan)
            case .features:
                let files = inventory.features.first { $0.folder == item.path }?.files ?? []
                for file in files where file.path == "values" {
                    add(item, file.path, "\(item.path)/\(file.path)", file.byteCount, .features)
                }
            case .model, .dataset, .space, .kernel:
                guard let repository = repositories[item.id],
                    let revision = repository.revisions.first(where: { $0.commit == item.commit })
                else { continue }
                let tree = TreeListing.read(revision.commit, of: repository)
                for entry in revision.entries {
                    let file = repository.files[entry.file]
                    // What the commit lists counts: the name of a blob may be a server's own, or belong
                    // to other bytes than those of this file.
                    let etag = tree?.files[entry.path]?.etag ?? file.blobName ?? ""
                    add(
                        item, entry.path, "\(repository.folder)/\(file.path)", file.byteCount,
                        Self.proof(etag))
                }
                let here = Set(revision.entries.map { ExactText($0.path) })
                for (path, file) in tree?.files ?? ByPath()
                where !here.contains(ExactText(path)) {
                    add(
                        item, path, "\(item.path)/\(path)", file.byteCount, Self.proof(file.etag),
                        .missing)
                }
            }
        }
    }

    private static func proof(_ etag: String) -> FileCheck.Proof {
        guard etag.utf8.allSatisfy(Hex.isDigit) else { return .none }
        return switch etag.utf8.count {
        case 64: .sha256(etag)
        case 40: .gitBlob(etag)
        default: .none
        }
    }

    /// The bytes that there are to read.
    public var byteCount: Int {
        checks.map { $0.outcome == .missing ? 0 : $0.byteCount }.clampedSum
    }

    /// Reads and hashes every file; `progress` hears how many bytes were read in all.
    public mutating func run(progress: (@Sendable (Int) -> Void)? = nil) {
        let done = Atomic(0)
        // The largest first, so that no core is left alone with one at the end.
        let order = checks.indices.sorted { checks[$0].byteCount > checks[$1].byteCount }
        let outcomes = inParallel(over: order.map { checks[$0] }, chunk: 1) { check in
            Self.check(check) { count in
                let total = done.add(count, ordering: .relaxed).newValue
                progress?(total)
            }
        }
        for (position, outcome) in outcomes.enumerated() {
            self.checks[order[position]].outcome = outcome
        }
    }

    private static func check(
        _ check: FileCheck, _ read: (Int) -> Void
    ) -> FileCheck.Outcome {
        guard check.outcome == .unknown else { return check.outcome }
        do {
            let (expected, found): (String, String)
            switch check.proof {
            case .none: return .unknown
            case .plan:
                return Files.planFlaw(check.path).map {
                    .damaged(expected: "a plan of graft", found: $0)
                } ?? .intact
            case .sha256(let hex):
                expected = "sha256:" + hex
                found = "sha256:" + (try FileDigest.sha256(check.path, read))
            case .gitBlob(let hex):
                expected = "git-sha1:" + hex
                found = "git-sha1:" + (try FileDigest.gitBlob(check.path, read))
            case .features:
                guard let bytes = try FileDigest.features(check.path, read) else {
                    return .damaged(expected: "features of graft", found: "something else")
                }
                (expected, found) = ("sha256:" + bytes.expected, "sha256:" + bytes.found)
            }
            return expected == found ? .intact : .damaged(expected: expected, found: found)
        } catch {
            return .unreadable((error as? any Diagnostic)?.message ?? "\(error)")
        }
    }
}

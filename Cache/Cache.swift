// What is on this machine, and under which path: README.md draws the layout.

import FoundationEssentials
import GraftSystem
import GraftTensors

/// The files that graft fetched, by what they contain and by how they were asked for.
///
/// Nothing appears in it before it was proven right: bytes are written beside it and renamed; what the
/// disk may not hold yet is noted (``Unflushed``).
public struct Cache: Sendable {
    /// The folder of it all.
    public let root: String

    /// One fetched reference.
    public struct Entry: Sendable, Codable, Equatable {
        /// How it was asked for.
        public let reference: String
        /// Where the bytes came from.
        public let url: String
        /// What they hash to.
        public let sha256: String
        /// How many they are.
        public let byteCount: Int
        /// The name that the publisher gave the file.
        public let fileName: String
        /// When, RFC 3339.
        public let fetched: String
        /// The SHA-256 of the reference as it was asked for, where that has a signature or a token in it,
        /// which is not written down.
        package let key: String?

        /// An entry fetched now.
        public init(
            reference: String, url: String, sha256: String, byteCount: Int, fileName: String
        ) {
            let plain = Secrets.withoutUser(reference)
            self.reference = Secrets.masked(reference)
            self.url = Secrets.masked(url)
            key = self.reference == plain ? nil : ContentHasher.sha256(of: plain)
            self.sha256 = sha256
            self.byteCount = byteCount
            self.fileName = fileName
            fetched = Quantity.moment(Quantity.now)
        }
    }

    /// The cache at `root`, or `$GRAFT_CACHE`, `$XDG_CACHE_HOME/graft`, `~/.cache/graft`.
    public init(root: String? = nil) {
        let home = Environment.setting("HOME").map { $0 + "/.cache/graft" }
        let xdg = Environment.setting("XDG_CACHE_HOME").map { $0 + "/graft" }
        self.root = Files.absolute(
            root ?? Environment.setting("GRAFT_CACHE") ?? xdg ?? home ?? "")
    }

    /// Where the file of an entry is.
    public func path(of entry: Entry) -> String {
        "\(root)/blobs/sha256/\(entry.sha256)/\(entry.fileName)"
    }

    /// The entry of a reference, if its file is there in full.
    public func entry(for reference: String) -> Entry? {
        let plain = Secrets.withoutUser(reference)
        guard let entry = read(referencePath(plain)),
            entry.reference == Secrets.masked(reference),
            size(of: path(of: entry)) == entry.byteCount
        else { return nil }
        return entry
    }

    /// Every entry, by reference.
    public func entries() -> [Entry] {
        let names = Files.names(in: root + "/refs").filter { $0.hasSuffix(".json") }
        return inParallel(over: names) { read("\(root)/refs/\($0)") }
            .compactMap { $0 }.sorted { $0.reference < $1.reference }
    }

    /// Moves a verified file in and writes down what it is; returns its path.
    ///
    /// `temporary` must lie on the same file system (``temporaryPath()``, ``partialPath(_:)``).
    public func publish(_ temporary: String, as entry: Entry) throws(any Error) -> String {
        let folder = "\(root)/blobs/sha256/\(entry.sha256)"
        try Files.makeFolder(folder)
        let destination = path(of: entry)
        try Unflushed(self).publish(
            temporary, to: destination, sha256: entry.sha256, byteCount: entry.byteCount)
        try record(entry)
        return destination
    }

    /// Writes down that a reference is a file that is already here.
    public func record(_ entry: Entry) throws(any Error) {
        try Files.makeFolder(root + "/refs")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        try Files.write(
            Array(try encoder.encode(entry)), to: referencePath(of: entry), durably: false,
            isPrivate: entry.key != nil)
    }

    /// Forgets a reference, and its file when no other reference needs it; returns the bytes freed.
    public func remove(_ reference: String) throws(any Error) -> Int {
        let reference = Secrets.withoutUser(reference)
        let known = read(referencePath(reference)) ?? entries().first { $0.reference == reference }
        guard let entry = known else { throw CacheError.unknown(Secrets.masked(reference)) }
        guard !isLocked(entry.url), !isLocked(reference) else {
            throw CacheError.inUse(entry.reference)
        }
        try FileSystem.remove(referencePath(of: entry))
        let others = entries().filter { $0.sha256 == entry.sha256 }
        guard !others.contains(where: { $0.fileName == entry.fileName }) else { return 0 }
        var freed = try Files.remove(path(of: entry))
        Unflushed(self).forget(path(of: entry))
        removeEmptyFolder("\(root)/blobs/sha256/\(entry.sha256)")
        if others.isEmpty { freed += try removeUnpacked(entry.sha256) }
        return freed
    }

    /// Forgets an entry, its file and what that unpacks to, whoever else names them: the bytes are wrong.
    func forget(_ entry: Entry) throws -> Int {
        removeFile(referencePath(of: entry))
        let freed = try Files.remove(path(of: entry)) + removeUnpacked(entry.sha256)
        Unflushed(self).forget(path(of: entry))
        removeEmptyFolder("\(root)/blobs/sha256/\(entry.sha256)")
        return freed
    }

    /// Hashes the file of an entry again.
    public func verify(_ entry: Entry) throws(any Error) {
        let sums = try ContentHasher.over(path(of: entry)).finalize()
        guard sums.sha256 == entry.sha256 else {
            throw CacheError.damaged(
                path: path(of: entry), expected: entry.sha256, found: "sha256:" + sums.sha256)
        }
    }

    /// Runs `body` while no other process or thread fetches the same URL.
    ///
    /// Lock files are never deleted: who waits on a deleted file and who makes a new one would both enter.
    public func locked<Result>(_ url: String, _ body: () throws -> Result) throws -> Result {
        try Files.locked(try lockPath(url), body)
    }

    /// The lock that is held while a URL is fetched.
    public func lockPath(_ url: String) throws -> String {
        guard !root.isEmpty else { throw CacheError.noHome }
        try makeFolder("locks")
        return "\(root)/locks/\(ContentHasher.sha256(of: url)).lock"
    }

    /// Makes a folder of the cache; what keeps it from that is said with how to name another one.
    private func makeFolder(_ name: String) throws {
        do {
            try Files.makeFolder("\(root)/\(name)")
        } catch {
            throw CacheError.unwritable(root, error.errno, variable: "GRAFT_CACHE")
        }
    }

    /// Where it is written down which parts of a file arrived, for files outside of this cache too;
    /// nil where there is no place for it.
    public func journalPath(for path: String) -> String? {
        root.isEmpty ? nil : "\(root)/partial/\(ContentHasher.sha256(of: path)).journal"
    }

    /// Where the bytes of a URL gather until they are complete.
    public func partialPath(_ url: String) throws -> String {
        try makeFolder("partial")
        return "\(root)/partial/\(ContentHasher.sha256(of: url))"
    }

    /// A new name beside the partial files.
    public func temporaryPath() throws -> String {
        try makeFolder("partial")
        let suffix = String(UInt64.random(in: 0 ... .max), radix: 36)
        return "\(root)/partial/\(CurrentProcess.id)-\(suffix).tmp"
    }

    private func referencePath(_ reference: String) -> String {
        "\(root)/refs/\(ContentHasher.sha256(of: reference)).json"
    }

    /// Where it is written down.
    func referencePath(of entry: Entry) -> String {
        entry.key.map { "\(root)/refs/\($0).json" } ?? referencePath(entry.reference)
    }

    /// What is here under the name of an entry, if its file is there in full.
    func entry(like entry: Entry) -> Entry? {
        guard let found = read(referencePath(of: entry)), found.reference == entry.reference,
            size(of: path(of: found)) == found.byteCount
        else { return nil }
        return found
    }

    /// The caches of others, which are read before this one and never written: `$GRAFT_CACHE_PATH`, a list
    /// with `:` between its folders.
    public static var shared: [Cache] {
        (Environment.setting("GRAFT_CACHE_PATH") ?? "").split(separator: ":").map {
            Cache(root: String($0))
        }
    }

    /// An entry whose names cannot lead out of the cache.
    private func read(_ path: String) -> Entry? {
        guard let bytes = Files.read(path, limit: 1 << 20),
            let entry = try? JSONDecoder().decode(Entry.self, from: Data(bytes)),
            entry.sha256.utf8.count == 64, entry.sha256.utf8.allSatisfy(Hex.isDigit),
            Files.isPlainName(entry.fileName), ByteCount.isSound(entry.byteCount),
            entry.key.map({ HubCache.isHex($0, 64) }) ?? true
        else { return nil }
        return entry
    }

    private func size(of path: String) -> Int? { Files.size(of: path) }
}

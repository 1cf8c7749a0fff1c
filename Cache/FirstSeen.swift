// What an address without a published digest held when it was first fetched, to compare ever after.

import FoundationEssentials
import GraftSystem
import GraftTensors

/// `known/<sha256 of address>.json`: it outlives the file, so that removing and fetching again compares.
extension Cache {
    /// What an address held.
    public struct FirstSeen: Sendable, Codable, Equatable {
        /// The address.
        public let url: String
        /// What its bytes hashed to.
        public let sha256: String
        /// How many they were.
        public let byteCount: Int
        /// When, RFC 3339.
        public let seen: String
    }

    private func knownPath(_ url: String) -> String {
        "\(root)/known/\(ContentHasher.sha256(of: Secrets.withoutUser(url))).json"
    }

    /// What an address held when it was first fetched; nil where it never was.
    public func firstSeen(_ url: String) -> FirstSeen? {
        guard let bytes = Files.read(knownPath(url), limit: 1 << 16),
            let known = try? JSONDecoder().decode(FirstSeen.self, from: Data(bytes)),
            known.url == Secrets.masked(url), ByteCount.isSound(known.byteCount),
            known.sha256.utf8.count == 64,
            known.sha256.utf8.allSatisfy(Hex.isDigit)
        else { return nil }
        return known
    }

    /// Compares with what the address held when it was first fetched, or writes that down.
    /// - Throws: ``CacheError/changed(url:expected:found:)``.
    public func compareWithFirstSeen(_ url: String, sha256: String, byteCount: Int) throws {
        guard !root.isEmpty else { return }
        if let known = firstSeen(url) {
            guard known.sha256 == sha256 else {
                throw CacheError.changed(
                    url: Secrets.masked(url), expected: known.sha256, found: sha256)
            }
            return
        }
        writeFirstSeen(url, sha256: sha256, byteCount: byteCount)
    }

    /// Takes what an address holds now for what it has to hold from now on; whether that is something
    /// else than before.
    public func replaceFirstSeen(_ url: String, sha256: String, byteCount: Int) -> Bool {
        let known = firstSeen(url)
        if known?.sha256 != sha256 { writeFirstSeen(url, sha256: sha256, byteCount: byteCount) }
        return known.map { $0.sha256 != sha256 } ?? false
    }

    private func writeFirstSeen(_ url: String, sha256: String, byteCount: Int) {
        // A cache that cannot be written to has nothing new in it either.
        guard !root.isEmpty, (try? Files.makeFolder(root + "/known")) != nil else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        let known = FirstSeen(
            url: Secrets.masked(url), sha256: sha256, byteCount: byteCount,
            seen: Quantity.moment(Quantity.now))
        guard let bytes = try? encoder.encode(known) else { return }
        try? Files.write(
            Array(bytes), to: knownPath(url),
            isPrivate: known.url != Secrets.withoutUser(url))
    }

    /// Forgets what an address held; whether anything was known.
    public func forgetFirstSeen(_ url: String) -> Bool { removeFile(knownPath(url)) }
}

// What a commit of the Hub holds, as Python's huggingface_hub writes it down beside the snapshots.

import FoundationEssentials
import GraftTensors

/// `trees/<commit>.json`: every file of a commit, with its size and its digests.
public struct TreeListing: Sendable, Codable, Equatable {
    /// One file.
    public struct File: Sendable, Codable, Equatable {
        /// Its size in bytes.
        public let size: Int
        /// The SHA-1 that git names it by; of the pointer, where it is in large-file storage.
        public let blobID: String
        /// Its SHA-256, where it is in large-file storage.
        public let sha256: String?
        /// The size that large-file storage says, where it is there.
        public let largeSize: Int?
        /// The hash of the Hub's chunk store, which graft hands on and does not use.
        public let chunkHash: String?

        enum CodingKeys: String, CodingKey {
            case size
            case blobID = "blob_id"
            case sha256 = "lfs_sha256"
            case largeSize = "lfs_size"
            case chunkHash = "xet_hash"
        }

        /// A file as the Hub's tree tells of it.
        public init(
            size: Int, blobID: String, sha256: String? = nil, largeSize: Int? = nil,
            chunkHash: String? = nil
        ) {
            self.size = size
            self.blobID = blobID
            self.sha256 = sha256
            self.largeSize = largeSize
            self.chunkHash = chunkHash
        }

        /// What the Hub's cache calls the file: the digest that proves it.
        public var etag: String { sha256 ?? blobID }
        /// Its size in bytes, wherever it is stored.
        public var byteCount: Int { largeSize ?? size }
        /// Whether both digests have the length and digits of such, and the sizes are sizes.
        var isSound: Bool {
            size >= 0 && (largeSize ?? 0) >= 0 && HubCache.isHex(blobID, 40)
                && (sha256.map { HubCache.isHex($0, 64) } ?? true)
                && (chunkHash.map { HubCache.isHex($0, 64) } ?? true)
        }
    }

    /// Another number means another meaning.
    public let format: Int
    /// The files, by path.
    public let files: [String: File]

    enum CodingKeys: String, CodingKey {
        case format = "format_version"
        case files
    }

    /// The listing of `files`.
    public init(files: [String: File]) {
        format = 1
        self.files = files
    }

    /// The bytes of all files; nil where nobody can count so far.
    public var byteCount: Int? {
        files.values.reduce(0 as Int?) { sum, file in
            sum.flatMap {
                let (next, overflow) = $0.addingReportingOverflow(file.byteCount)
                return overflow ? nil : next
            }
        }
    }

    /// The listing that a file holds; nil where there is none, or none whose form and paths are sound.
    public static func read(_ path: String) -> TreeListing? {
        guard let bytes = Files.read(path, limit: 1 << 28),
            let listing = try? JSONDecoder().decode(TreeListing.self, from: Data(bytes)),
            listing.isSound
        else { return nil }
        return listing
    }

    /// Whether it is of the format that is known, its paths stay where they belong, and its digests
    /// are digests of files that can be counted together.
    var isSound: Bool {
        format == 1 && files.allSatisfy { RelativePath.isSafe($0.key) && $0.value.isSound }
            && byteCount != nil
    }

    /// Whether a file is no listing of any format.
    static func isBroken(_ path: String) -> Bool {
        struct Version: Decodable {
            let format: Int
            enum CodingKeys: String, CodingKey { case format = "format_version" }
        }
        guard let bytes = Files.read(path, limit: 1 << 28) else { return false }
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)) else {
            return true
        }
        return version.format == 1 && read(path) == nil
    }

    /// The listing of a commit; nil where none was kept, or none that is sound.
    public static func read(_ commit: String, of repository: HubRepository) -> TreeListing? {
        read("\(repository.folder)/trees/\(commit).json")
    }

    /// Writes the listing as Python would, byte for byte; other users of the cache may read it.
    public func write(to path: String) throws(any Error) {
        let entries = files.sorted {
            $0.key.unicodeScalars.lexicographicallyPrecedes($1.key.unicodeScalars)
        }
        .map { path, file in
            var fields = ["\"size\": \(file.size)", "\"blob_id\": \"\(file.blobID)\""]
            if let sum = file.sha256 { fields.append("\"lfs_sha256\": \"\(sum)\"") }
            if let size = file.largeSize { fields.append("\"lfs_size\": \(size)") }
            if let hash = file.chunkHash { fields.append("\"xet_hash\": \"\(hash)\"") }
            let body = fields.map { "   " + $0 }.joined(separator: ",\n")
            return "  \(Self.quoted(path)): {\n\(body)\n  }"
        }
        let body = entries.isEmpty ? "{}" : "{\n\(entries.joined(separator: ",\n"))\n }"
        let text = "{\n \"format_version\": 1,\n \"files\": \(body)\n}"
        try Files.makeFolder(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
        try Files.write(Array(text.utf8), to: path, durably: false)
    }

    /// A JSON string in ASCII.
    private static func quoted(_ text: String) -> String {
        let body = text.utf16.map { unit in
            switch unit {
            case 34: return "\\\""
            case 92: return "\\\\"
            case 32..<127: return String(UnicodeScalar(UInt8(unit)))
            default:
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return "\"" + body.joined() + "\""
    }
}

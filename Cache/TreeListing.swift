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
            ByteCount.isSound(size) && ByteCount.isSound(largeSize ?? 0)
                && HubCache.isHex(blobID, 40)
                && (sha256.map { HubCache.isHex($0, 64) } ?? true)
                && (chunkHash.map { HubCache.isHex($0, 64) } ?? true)
        }
    }

    /// Another number means another meaning.
    public let format: Int
    /// The files whose paths can become paths on this machine.
    public let files: ByPath<File>
    /// The others: they belong to the commit, and are never written.
    package let refused: ByPath<File>

    enum CodingKeys: String, CodingKey {
        case format = "format_version"
        case files
    }

    /// The listing of `files`.
    public init(files: ByPath<File>) {
        format = 1
        var (taken, refused) = (ByPath<File>(), ByPath<File>())
        for (path, file) in files {
            if RelativePath.isSafe(path) { taken[path] = file } else { refused[path] = file }
        }
        self.files = taken
        self.refused = refused
    }

    /// Reads a listing; its bytes went through `JSONKeys`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let format = try container.decode(Int.self, forKey: .format)
        guard format == 1 else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: container, debugDescription: "expected format 1")
        }
        self.init(files: try container.decode(ByPath<File>.self, forKey: .files))
    }

    /// Writes a listing; its bytes have to go through `JSONKeys`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(format, forKey: .format)
        try container.encode(all, forKey: .files)
    }

    /// Every file of the commit, whatever its path.
    private var all: ByPath<File> {
        var all = files
        for (path, file) in refused { all[path] = file }
        return all
    }

    /// The bytes of all files; nil where that is more than sizes may be.
    public var byteCount: Int? { all.map(\.value.byteCount).checkedSum }

    /// The listing that a file holds; nil where there is none, or none whose form and paths are sound.
    public static func read(_ path: String) -> TreeListing? {
        guard let bytes = Files.read(path, limit: 1 << 28),
            let listing = try? JSONDecoder().decode(
                TreeListing.self, from: Data(JSONKeys.protected(bytes))),
            listing.isSound
        else { return nil }
        return listing
    }

    /// Whether its digests are digests of files that can be counted together, and no file is a folder
    /// of another one.
    var isSound: Bool {
        all.allSatisfy { $0.value.isSound } && byteCount != nil
            && RelativePath.conflict(among: files.keys) == nil
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
        let entries = all.sorted {
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
        try Files.makeFolder(UsageRecord.parent(of: path))
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

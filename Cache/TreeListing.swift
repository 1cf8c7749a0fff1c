// What a commit of the Hub holds, as Python's huggingface_hub writes it down beside the snapshots.

import FoundationEssentials

/// `trees/<commit>.json`: every file of a commit, with its size and its digests.
public struct TreeListing: Sendable, Codable {
    /// One file.
    public struct File: Sendable, Codable {
        /// Its size.
        public let size: Int
        /// The SHA-1 that git names it by; of the pointer, where it is in large-file storage.
        public let blobID: String
        /// Its SHA-256, where it is in large-file storage.
        public let sha256: String?

        enum CodingKeys: String, CodingKey {
            case size
            case blobID = "blob_id"
            case sha256 = "lfs_sha256"
        }

        /// What the Hub's cache calls the file: the digest that proves it.
        public var etag: String { sha256 ?? blobID }
    }

    /// Another number means another meaning.
    public let format: Int
    /// The files, by path.
    public let files: [String: File]

    enum CodingKeys: String, CodingKey {
        case format = "format_version"
        case files
    }

    /// The listing of a commit; nil where none was kept, or not in a form that is known.
    public static func read(_ commit: String, of repository: HubRepository) -> TreeListing? {
        guard
            let bytes = Files.read("\(repository.folder)/trees/\(commit).json", limit: 1 << 28),
            let listing = try? JSONDecoder().decode(TreeListing.self, from: Data(bytes)),
            listing.format == 1
        else { return nil }
        return listing
    }
}

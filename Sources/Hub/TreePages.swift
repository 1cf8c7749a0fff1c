// What the pages of a commit's listing hold, and whether they can be all of it.

import FoundationEssentials
import GraftCache

/// A listing that is read page by page: complete, or an error.
struct TreePages {
    let name: HubName
    private(set) var files = ByPath<TreeListing.File>()
    private var addresses: Set<String> = []
    private var bodies: Set<String> = []
    private var emptyPages = 0

    /// Pages without an entry in a row, after which a server is taken for one that has no end.
    private static let maximumEmptyPages = 64
    /// Pages of a listing, at 1,000 entries each as a rule.
    private static let maximumPages = 100_000

    init(_ name: HubName) { self.name = name }

    /// Is about to ask for a page.
    mutating func ask(_ location: Location) throws {
        guard addresses.insert(location.text).inserted, addresses.count <= Self.maximumPages else {
            throw repeated(location)
        }
    }

    /// Takes the entries of a page; throws where they are none, or those of an earlier page.
    mutating func add(_ body: [UInt8], of location: Location) throws {
        guard let page = try? JSONDecoder().decode([Entry].self, from: Data(body)) else {
            throw HubError.notAHub(url: location.shown, .files)
        }
        emptyPages = page.isEmpty ? emptyPages + 1 : 0
        let isNew = page.isEmpty || bodies.insert(ContentHasher.sha256(of: body)).inserted
        guard emptyPages <= Self.maximumEmptyPages, isNew else { throw repeated(location) }
        let before = files.count
        for entry in page where entry.type == "file" {
            guard let file = entry.file else {
                throw HubError.notAHub(url: location.shown, .digests(of: entry.path))
            }
            guard files.updateValue(file, forKey: entry.path).map({ $0 == file }) ?? true else {
                throw HubError.listing(url: "\(name)", .duplicate(path: entry.path))
            }
        }
        guard files.count > before || !page.contains(where: { $0.type == "file" }) else {
            throw repeated(location)
        }
    }

    /// The listing, once there is no further page; `siblings` are what the commit itself names.
    func listing(_ location: Location, siblings: [String]) throws -> TreeListing {
        if let missing = siblings.first(where: { files[$0] == nil }) {
            throw HubError.listing(
                url: location.shown, .missing(path: missing, fileCount: files.count))
        }
        let listing = TreeListing(files: files)
        if let (file, inside) = RelativePath.conflict(among: listing.files.keys) {
            throw HubError.listing(url: "\(name)", .fileAndFolder(file: file, inside: inside))
        }
        guard listing.byteCount != nil else {
            throw HubError.notAHub(url: location.shown, .sizes)
        }
        return listing
    }

    private func repeated(_ location: Location) -> HubError {
        .listing(url: location.shown, .repeated)
    }

    private struct Entry: Decodable {
        let type: String
        let path: String
        let size: Int?
        let oid: String?
        let lfs: Large?
        let xetHash: String?

        struct Large: Decodable {
            let oid: String
            let size: Int
        }

        /// The file; nil where its digests or sizes are not what they should be.
        var file: TreeListing.File? {
            guard let oid, HubCache.isHex(oid, 40), let size, ByteCount.isSound(size) else {
                return nil
            }
            if let lfs, !HubCache.isHex(lfs.oid, 64) || !ByteCount.isSound(lfs.size) { return nil }
            let chunks = xetHash.flatMap { HubCache.isHex($0, 64) ? $0 : nil }
            return TreeListing.File(
                size: size, blobID: oid, sha256: lfs?.oid, largeSize: lfs?.size, chunkHash: chunks)
        }
    }
}

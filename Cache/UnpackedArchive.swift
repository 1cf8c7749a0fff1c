// The folder that an archive of the cache unpacks to, beside it under the digest of the archive.

import FoundationEssentials
import GraftSystem
import GraftTensors

/// `unpacked/<sha256 of the archive>/`, and what it must hold in `unpacked/<sha256>.json`.
extension Cache {
    func unpackedPath(_ sha256: String) -> String { "\(root)/unpacked/\(sha256)" }

    /// The folder of an archive, unpacked where it is not yet.
    ///
    /// It appears complete or not at all: unpacked beside, flushed, renamed.
    public func unpacked(_ entry: Entry) throws -> String {
        let folder = unpackedPath(entry.sha256)
        if unpackedListing(entry.sha256) != nil, Files.isFolder(folder) { return folder }
        return try locked("unpacked:" + entry.sha256) {
            if unpackedListing(entry.sha256) != nil, Files.isFolder(folder) { return folder }
            let temporary = try temporaryPath()
            do {
                let listing = try Unpacking.unpack(path(of: entry), into: temporary)
                // What a killed program left between the two renames.
                if Files.isFolder(folder) { _ = try Files.removeTree(folder) }
                try Files.makeFolder(root + "/unpacked")
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
                try FileSystem.rename(temporary, to: folder)
                try Files.write(
                    JSONKeys.plain(Array(try encoder.encode(listing))), to: folder + ".json")
            } catch {
                _ = try? Files.removeTree(temporary)
                throw error
            }
            return folder
        }
    }

    /// What the folder of an archive must hold; nil where it is not unpacked.
    func unpackedListing(_ sha256: String) -> Unpacking.Listing? {
        guard let bytes = Files.read(unpackedPath(sha256) + ".json", limit: 64 << 20),
            let listing = try? JSONDecoder().decode(
                Unpacking.Listing.self, from: Data(JSONKeys.protected(bytes))),
            listing.files.allSatisfy({
                RelativePath.isSafe($0.key) && HubCache.isHex($0.value.sha256, 64)
                    && ByteCount.isSound($0.value.byteCount)
            })
        else { return nil }
        return listing
    }

    /// The files of the folder of an archive, with their absolute paths; none where it is not unpacked.
    func unpackedFiles(_ sha256: String) -> [StoredFile] {
        guard let listing = unpackedListing(sha256) else { return [] }
        return listing.files.keys.compactMap {
            StoredFile("\(unpackedPath(sha256))/\($0)")
        }
    }

    /// Removes the folder of an archive; the bytes freed.
    func removeUnpacked(_ sha256: String) throws(FileError) -> Int {
        // The listing first: without it the folder counts for nothing.
        removeFile(unpackedPath(sha256) + ".json")
        return try Files.removeTree(unpackedPath(sha256))
    }

    /// The digests of the archives that have a folder, or half of one.
    var unpackedDigests: [String] {
        Set(
            Files.names(in: root + "/unpacked").map {
                String($0.hasSuffix(".json") ? $0.dropLast(5) : $0[...])
            }
        ).filter { HubCache.isHex($0, 64) }.sorted()
    }
}

// `tfhub://` and `kaggle://` references: an archive, proven, kept, and unpacked to a SavedModel.

import FoundationEssentials
import GraftCache
import GraftSystem
import GraftTensors

extension Errand {
    /// The folder that the archive of a module unpacks to.
    ///
    /// Digest and size are those of the archive. Nobody publishes digests of modules: what one was when
    /// it was first fetched, it has to be ever after.
    func fetch(_ module: ModuleReference) throws -> Fetched {
        let module = try versioned(module)
        let wasKnown = cache.firstSeen(module.address) != nil
        let archive = try fetchURL(
            module.address, named: module.text, digest: digest,
            credentials: try module.credentials(), refusesImpostors: false
        ) { try checkIsArchive($0, module) }
        guard let entry = cache.entry(for: module.text) else {
            throw CacheError.unknown(module.text)
        }
        do {
            return Fetched(
                path: try cache.unpacked(entry), byteCount: archive.byteCount,
                sha256: archive.sha256, reference: reference, fromCache: archive.fromCache)
        } catch let error as ArchiveError {
            // What cannot be unpacked is of no use, and no measure for the next try.
            if !archive.fromCache {
                _ = try? cache.remove(module.text)
                if !wasKnown { _ = cache.forgetFirstSeen(module.address) }
            }
            throw error
        }
    }

    /// The module with its version, where it means the newest.
    private func versioned(_ module: ModuleReference) throws -> ModuleReference {
        guard module.publisher == .kaggle, module.version == nil else { return module }
        let here = (Cache.shared + [cache]).flatMap { $0.entries() }.compactMap { entry -> Int? in
            guard entry.reference.hasPrefix(module.text + "/") else { return nil }
            return Int(entry.reference.dropFirst(module.text.utf8.count + 1))
        }
        guard !hub.offline else {
            guard let newest = here.max() else { throw HubError.offline(reference: module.text) }
            return module.with(version: newest)
        }
        struct Instance: Decodable { let versionNumber: Int }
        let address = module.newestAddress
        let body: [UInt8]
        do {
            body = try http.explaining {
                try http.text(try Location(address), credentials: try module.credentials()).1
            }
        } catch let error as Unreachable {
            guard let newest = here.max() else { throw error.reason }
            Notices.say(
                "warning: \(error.reason.message): using version \(newest), which is in the cache")
            return module.with(version: newest)
        }
        guard let found = try? JSONDecoder().decode(Instance.self, from: Data(body)),
            found.versionNumber > 0
        else {
            throw HubError.notAHub(url: address, .moduleVersion(module: module.text))
        }
        return module.with(version: found.versionNumber)
    }

    /// A publisher that moved shows a page to people where programs expect an archive.
    private func checkIsArchive(_ path: String, _ module: ModuleReference) throws {
        var start = [UInt8](repeating: 0, count: 262)
        let file = try FileDescriptor(opening: path)
        let count = try start.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        let isGzip = start[0] == 0x1F && start[1] == 0x8B
        let isZip = start.starts(with: "PK\u{3}\u{4}".utf8)
        let isTar = start[257...].starts(with: "ustar".utf8)
        guard count > 2, isGzip || isZip || isTar else {
            throw HubError.notArchive(
                module: module.text, address: module.address,
                isPage: start.starts(with: "<".utf8))
        }
    }
}

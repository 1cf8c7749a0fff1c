// What a fetch of a file would do, said without asking anybody.

import GraftCache
import GraftRegistry
import GraftSystem
import GraftTensors

/// Where a reference leads, what proves it, and whether it is here.
public struct FetchPlan: Sendable, Encodable {
    /// How it was asked for.
    public let reference: String
    /// The address that would be asked first: of the file, of the hub's file, or of the package's index.
    public let url: String
    /// What the bytes would be compared with; nil where nobody published it.
    public let digest: String?
    /// The size, where it is known beforehand.
    public let byteCount: Int?
    /// Whether it is here already.
    public let fromCache: Bool
    /// Where it is, if it is here.
    public let path: String?
}

extension Hub {
    /// What ``fetch(_:digest:progress:)`` would do. Sends nothing.
    /// - Throws: what the fetch would throw before its first request.
    public func plan(_ reference: String, digest: String? = nil) throws -> FetchPlan {
        let wanted = try digest.map { try Digest($0) }
        let reference = resolved(reference)
        return try PlainHTTP.$hosts.withValue(options.plainHTTPHosts) {
            guard let entry = try published(reference) else {
                return try plan(reference, as: reference, wanted, byteCount: nil)
            }
            let digest = try wanted ?? entry.digest.map { try Digest($0) }
            return try plan(entry.url, as: reference, digest, byteCount: entry.byteCount)
        }
    }

    private func plan(
        _ address: String, as reference: String, _ digest: Digest?, byteCount: Int?
    ) throws -> FetchPlan {
        func plan(_ url: String, _ digest: Digest?, _ size: Int?, _ path: String?) -> FetchPlan {
            FetchPlan(
                reference: Secrets.masked(reference), url: Secrets.masked(url),
                digest: digest?.description, byteCount: size,
                fromCache: path != nil, path: path)
        }
        if let module = try ModuleReference(address) {
            let entry = cache.entry(for: module.text)
            let known = cache.firstSeen(module.address).map { Digest.sha256($0.sha256) }
            return plan(
                try Location(module.address).text, digest ?? known,
                entry?.byteCount ?? byteCount, try entry.map { try cache.unpacked($0) })
        }
        if address.hasPrefix("https://") || address.hasPrefix("http://") {
            let location = try Location(address)
            let entry = cache.entry(for: address)
            let known = cache.firstSeen(location.text).map { Digest.sha256($0.sha256) }
            let written = try Errand.fragmentDigest(address)
            return plan(
                location.text, digest ?? written ?? known, entry?.byteCount ?? byteCount,
                entry.map { cache.path(of: $0) })
        }
        if address.hasPrefix("pypi:") {
            let package = try PackageReference(address)
            let entry = cache.entry(for: address)
            return plan(
                try PackageIndex.address(of: package.package, settings: PipSettings()).text, digest,
                entry?.byteCount ?? byteCount, entry.map { cache.path(of: $0) })
        }
        if address.hasPrefix("hf://") {
            let parsed = try HubReference(address, kind: options.kind)
            let revision = options.revision ?? parsed.revision ?? "main"
            let access = try HubAccess(tokenFile: options.tokenFile, endpoint: options.endpoint)
            let hub = HubCache(root: options.hubRoot)
            guard let path = parsed.path, !path.hasSuffix("/") else {
                let url =
                    "\(access.endpoint)/api/\(parsed.name.apiPath)/revision/"
                    + PercentCoding.encoded(revision)
                return plan(try Location(url).text, digest, byteCount, nil)
            }
            let url =
                "\(access.endpoint)/\(parsed.name.webPath)/resolve/\(PercentCoding.encoded(revision))/"
                + PercentCoding.encoded(path, keeping: "/")
            let commit = hub.commit(parsed.name, revision)
            let size = commit.flatMap { hub.size(parsed.name, $0, path) }
            let here = commit.map { "\(hub.snapshot(parsed.name, $0))/\(path)" }
            return plan(
                try Location(url).text, digest, size ?? byteCount, size == nil ? nil : here)
        }
        guard let size = Files.size(of: address) else {
            throw FileError("read", Secrets.masked(address))
        }
        return plan(address, digest, size, address)
    }
}

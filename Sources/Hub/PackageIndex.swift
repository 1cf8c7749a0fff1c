// A Python package index: PEP 691's JSON, or PEP 503's page where an index is older.

import FoundationEssentials

/// Finds the archive of a package.
struct PackageIndex {
    let settings: PipSettings
    let http: HTTP

    /// One file that an index lists.
    struct File {
        let name: String
        let url: String
        let digest: String?
        let isYanked: Bool
        /// Those of the index, which count for files on the same server.
        var credentials: Credentials?
    }

    /// The archive of a version, or of the newest one that is no pre-release; a wheel if there is one.
    func archive(of package: String, version: String?) throws -> File {
        let base = try Self.address(of: package, settings: settings)
        let (head, body) = try http.text(
            base,
            headers: ["Accept: application/vnd.pypi.simple.v1+json, text/html;q=0.5"],
            credentials: base.credentials)
        let isJSON = head.fields["content-type"]?.contains("json") ?? false
        let files =
            try isJSON
            ? readJSON(body) : PackagePage.files(String(decoding: body, as: UTF8.self))
        let versioned = files.compactMap { file in
            PackageVersion(fileName: file.name).map { (file: file, version: $0) }
        }
        let wanted: PackageVersion?
        if let version {
            wanted = PackageVersion(version)
        } else {
            let all = versioned.filter { !$0.file.isYanked }.map(\.version)
            wanted = all.filter { !$0.isPrerelease }.max() ?? all.max()
        }
        let candidates = versioned.filter { $0.version == wanted }.map(\.file)
        guard let best = candidates.max(by: { rank($0.name) < rank($1.name) }) else {
            let known = Set(versioned.map(\.version)).sorted().suffix(8).map { "`\($0.text)`" }
            throw HubError.noPackage(package, version: version, found: known)
        }
        let url = try Location(best.url, relativeTo: base).text
        return File(
            name: best.name, url: url, digest: best.digest, isYanked: best.isYanked,
            credentials: base.credentials)
    }

    /// Where the index lists the files of a package.
    static func address(of package: String, settings: PipSettings) throws -> Location {
        try Location("\(settings.index)/\(normalized(package))/")
    }

    /// Names compare without case and with one kind of separator (PEP 503).
    static func normalized(_ name: String) -> String {
        name.lowercased().split { "-_.".contains($0) }.joined(separator: "-")
    }

    /// Wheels for any machine first, then wheels, then sources.
    private func rank(_ name: String) -> Int {
        guard name.hasSuffix(".whl") else { return 0 }
        return name.hasSuffix("-none-any.whl") ? 2 : 1
    }

    private func readJSON(_ body: [UInt8]) throws -> [File] {
        struct Project: Decodable {
            let files: [Item]
        }
        struct Item: Decodable {
            let filename: String
            let url: String
            let hashes: [String: String]?
            let yanked: Yanked?
        }
        /// False, true, or the reason.
        struct Yanked: Decodable {
            let value: Bool
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                value = (try? container.decode(Bool.self)) ?? true
            }
        }
        do {
            return try JSONDecoder().decode(Project.self, from: Data(body)).files.map { item in
                File(
                    name: item.filename, url: item.url,
                    digest: item.hashes?["sha256"].map { "sha256:" + $0 },
                    isYanked: item.yanked?.value ?? false)
            }
        } catch {
            throw HubError.notAnIndex(settings.index)
        }
    }
}

/// A version, ordered well enough to find the newest: numbers, and whether it is a pre-release.
struct PackageVersion: Hashable, Comparable {
    let text: String
    private let numbers: [Int]
    let isPrerelease: Bool

    init(_ text: String) {
        self.text = text
        let release = text.prefix { $0.isNumber || $0 == "." }
        var numbers = release.split(separator: ".").map { Int($0) ?? 0 }
        while numbers.last == 0 { numbers.removeLast() }
        self.numbers = numbers
        let rest = text[release.endIndex...].lowercased()
        isPrerelease = ["a", "b", "c", "rc", "dev", ".dev", "-"].contains { rest.hasPrefix($0) }
    }

    /// The version in `package-1.0-py3-none-any.whl` or `package-1.0.tar.gz`.
    init?(fileName: String) {
        var stem = fileName
        let endings = [".whl", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip", ".tgz"]
        guard let ending = endings.first(where: { fileName.hasSuffix($0) }) else { return nil }
        stem.removeLast(ending.count)
        let parts = stem.split(separator: "-")
        if ending == ".whl" {
            guard parts.count >= 5 else { return nil }
            self.init(String(parts[1]))
        } else {
            guard parts.count >= 2, let last = parts.last else { return nil }
            self.init(String(last))
        }
    }

    private var rest: String { String(text.drop { $0.isNumber || $0 == "." }) }

    static func == (a: PackageVersion, b: PackageVersion) -> Bool {
        a.numbers == b.numbers && a.rest == b.rest
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(numbers)
        hasher.combine(rest)
    }

    static func < (a: PackageVersion, b: PackageVersion) -> Bool {
        if a.numbers != b.numbers { return a.numbers.lexicographicallyPrecedes(b.numbers) }
        if a.isPrerelease != b.isPrerelease { return a.isPrerelease }
        return a.rest < b.rest
    }
}

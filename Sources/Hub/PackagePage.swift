// The page of an older package index (PEP 503): its links, and nothing else of HTML.

import GraftCache

/// The links of a page: `<a href="…#sha256=…" data-yanked="">name</a>`.
enum PackagePage {
    /// The files that a page links to.
    static func files(_ page: String) -> [PackageIndex.File] {
        var rest = page[...]
        var files: [PackageIndex.File] = []
        while let start = rest.firstIndex(of: "<") {
            rest = rest[rest.index(after: start)...]
            let name = rest.prefix { $0.isLetter || $0.isNumber }
            let attributes = readAttributes(&rest)
            guard name.lowercased() == "a", let link = attributes["href"] else { continue }
            if let file = file(link, isYanked: attributes["data-yanked"] != nil) {
                files.append(file)
            }
        }
        return files
    }

    private static func file(_ link: String, isYanked: Bool) -> PackageIndex.File? {
        let halves = link.split(separator: "#", maxSplits: 1)
        let path = halves.first?.prefix { $0 != "?" }
        guard let url = halves.first, let last = path?.split(separator: "/").last,
            let name = PercentCoding.decoded(last)
        else { return nil }
        let digest = halves.dropFirst().first.flatMap { fragment -> String? in
            fragment.hasPrefix("sha256=") ? "sha256:" + fragment.dropFirst(7) : nil
        }
        return PackageIndex.File(
            name: name, url: String(url), digest: digest, isYanked: isYanked)
    }

    /// The attributes of the tag that `rest` is in, by names in lower case; `rest` is behind it after.
    private static func readAttributes(_ rest: inout Substring) -> [String: String] {
        var found: [String: String] = [:]
        rest = rest.drop { $0.isLetter || $0.isNumber }
        while true {
            rest = rest.drop { $0.isWhitespace || $0 == "/" }
            guard let first = rest.first else { return found }
            if first == ">" {
                rest = rest.dropFirst()
                return found
            }
            let name = rest.prefix { !$0.isWhitespace && !"=>/".contains($0) }.lowercased()
            rest = rest.drop { !$0.isWhitespace && !"=>/".contains($0) }.drop { $0.isWhitespace }
            guard rest.first == "=" else {
                // A sign that begins no name is passed over, so that every turn moves on.
                if name.isEmpty { rest = rest.dropFirst() } else { found[name] = "" }
                continue
            }
            rest = rest.dropFirst().drop { $0.isWhitespace }
            let value: Substring
            if let quote = rest.first, quote == "\"" || quote == "'" {
                value = rest.dropFirst().prefix { $0 != quote }
                rest = rest[value.endIndex...].dropFirst()
            } else {
                value = rest.prefix { !$0.isWhitespace && $0 != ">" }
                rest = rest[value.endIndex...]
            }
            found[name] = unescaped(value)
        }
    }

    /// Text with the references that occur in addresses resolved.
    private static func unescaped(_ text: Substring) -> String {
        guard text.contains("&") else { return String(text) }
        // The ampersand last: what it makes is no reference.
        let references = [
            ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&"),
        ]
        return references.reduce(String(text)) { text, pair in
            text.split(separator: pair.0, omittingEmptySubsequences: false)
                .joined(separator: pair.1)
        }
    }
}

// `hf://` references: which repository, which revision, which file.

import GraftCache

/// `hf://[models|datasets|spaces|kernels/]organisation/name[@revision][/path]`.
struct HubReference: Equatable {
    let name: HubName
    let revision: String?
    /// A file, or a folder where it ends in `/`; nil for the whole repository.
    let path: String?

    /// Reads a reference; `kind` is what `--repo-type` says.
    init(_ text: String, kind: HubName.Kind? = nil) throws {
        let wrong = HubError.notRepository(text)
        guard text.hasPrefix("hf://") else { throw wrong }
        var parts = text.dropFirst(5).split(separator: "/", omittingEmptySubsequences: false)
            .map(String.init)
        var found = kind ?? .model
        if let first = parts.first,
            let named = HubName.Kind.allCases.first(where: { $0.rawValue + "s" == first })
        {
            guard kind == nil || kind == named else { throw wrong }
            found = named
            parts.removeFirst()
        }
        // `name`, or `organisation/name`; the revision hangs on the last of them.
        let count = parts.count == 1 || parts[0].contains("@") ? 1 : 2
        guard parts.count >= count, let last = parts.prefix(count).last else { throw wrong }
        let named = last.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var id = parts.prefix(count)
        id[count - 1] = String(named[0])
        guard let name = HubName(found, id.joined(separator: "/")) else { throw wrong }
        self.name = name
        var rest = parts.dropFirst(count)
        guard named.count == 2 else {
            revision = nil
            path = rest.isEmpty || rest.elementsEqual([""]) ? nil : rest.joined(separator: "/")
            try check(text)
            return
        }
        var revision = PercentCoding.decoded(String(named[1])) ?? ""
        // `refs/pr/1` and `refs/convert/parquet` are revisions with slashes.
        if revision == "refs", rest.count >= 2, ["pr", "convert"].contains(rest.first) {
            revision = (["refs"] + rest.prefix(2)).joined(separator: "/")
            rest = rest.dropFirst(2)
        }
        guard !revision.isEmpty, RelativePath.isSafe(revision) else { throw wrong }
        self.revision = revision
        path = rest.isEmpty || rest.elementsEqual([""]) ? nil : rest.joined(separator: "/")
        try check(text)
    }

    private func check(_ text: String) throws {
        guard let path else { return }
        let plain = path.hasSuffix("/") ? String(path.dropLast()) : path
        guard RelativePath.isSafe(plain) else {
            throw HubError.leadsOut(text)
        }
    }
}

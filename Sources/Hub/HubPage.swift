// The address of a page of the Hub, as people copy it from a browser, and what it means as `hf://`.

import GraftCache
import GraftRegistry
import GraftSystem

/// Pages of the Hub.
enum HubPage {
    private static let verbs: Set<String> = ["blob", "resolve", "raw", "tree", "blame"]
    /// First parts of addresses of the Hub that are no organisations.
    private static let other: Set<String> = [
        "api", "docs", "papers", "blog", "join", "login", "logout", "pricing", "settings",
        "collections", "posts", "organizations", "new", "search", "tasks", "learn", "chat",
    ]

    /// The reference that an address of the Hub, or of the hub at `$HF_ENDPOINT`, means; nil for another
    /// address, and for one that says what its bytes hash to.
    static func reference(_ text: String) -> String? {
        guard text.hasPrefix("https://") || text.hasPrefix("http://"), !text.contains("#sha256="),
            !text.contains("#md5="), let location = try? Location(text)
        else { return nil }
        let endpoint = Environment.setting("HF_ENDPOINT").flatMap { try? Location($0) }
        let isOwn = HubHosts.origins.contains(location.origin)
        guard isOwn || location.origin == endpoint?.origin else { return nil }
        var rest = location.text.prefix { $0 != "?" }.dropFirst(location.scheme.utf8.count + 3)
            .drop { $0 != "/" }
        if !isOwn, let endpoint {
            // An endpoint may lie below a path.
            let base = endpoint.text.dropFirst(endpoint.scheme.utf8.count + 3).drop { $0 != "/" }
            var prefix = String(base)
            while prefix.hasSuffix("/") { prefix.removeLast() }
            guard rest.hasBytes(prefix) else { return nil }
            rest = rest.dropFirst(prefix.count)
        }
        let parts = rest.pathParts.map { PercentCoding.decoded($0) ?? "" }
        return reference(parts, isFolder: rest.hasSuffix("/"), isHub: isOwn)
    }

    private static func reference(_ all: [String], isFolder: Bool, isHub: Bool) -> String? {
        var parts = all[...]
        guard let first = parts.first, !other.contains(first) else { return nil }
        let kind = HubName.Kind.allCases.first { $0.rawValue + "s" == first }
        if kind != nil { parts = parts.dropFirst() }
        // Old models have a name alone, which a verb follows.
        let isShort = isHub && parts.count > 1 && verbs.contains(parts[parts.startIndex + 1])
        let count = isShort ? 1 : 2
        guard parts.count >= count,
            let name = HubName(kind ?? .model, parts.prefix(count).joined(separator: "/"))
        else { return nil }
        parts = parts.dropFirst(count)
        guard let verb = parts.first else {
            // At another server such an address may be that of a file.
            return isHub || !hasFileEnding(name.id) ? name.description : nil
        }
        // At another server that is the address of a file, and fetched as one.
        guard verbs.contains(verb), isHub || verb != "resolve" else { return nil }
        parts = parts.dropFirst()
        var revision = parts.first ?? "main"
        parts = parts.dropFirst()
        if revision == "refs", parts.count >= 2 {
            revision = (["refs"] + parts.prefix(2)).joined(separator: "/")
            parts = parts.dropFirst(2)
        }
        let path = parts.joined(separator: "/")
        guard path.isEmpty || RelativePath.isSafe(path) else { return nil }
        let version = revision == "main" ? "" : "@" + PercentCoding.encoded(revision)
        let end = path.isEmpty ? "" : "/" + path + (verb == "tree" || isFolder ? "/" : "")
        return name.description + version + end
    }

    /// Whether a name ends as files do, so that it is rather one.
    static func hasFileEnding(_ name: String) -> Bool {
        [
            ".safetensors", ".h5", ".hdf5", ".keras", ".npz", ".npy", ".onnx", ".bin", ".pt",
            ".pth",
            ".ckpt", ".tflite", ".gguf", ".pb", ".json", ".txt", ".zip", ".tar", ".gz", ".png",
            ".jpg",
            ".pkl",
        ].contains { name.hasSuffix($0) }
    }
}

extension Hub {
    /// What a reference means: the addresses of pages of the Hub, and `organisation/name` where neither a
    /// file nor the registry has that name, are `hf://` references, which is said.
    public func resolved(_ reference: String) -> String {
        let found = PlainHTTP.$hosts.withValue(options.plainHTTPHosts) {
            HubPage.reference(reference) ?? plainName(reference)
        }
        if let found {
            Notices.sayOnce("reading `\(reference)` as `\(found)`")
        }
        return found ?? reference
    }

    private func plainName(_ text: String) -> String? {
        guard !text.contains(":"), !text.hasPrefix("."), !text.hasPrefix("/"), !text.hasPrefix("~"),
            !text.hasSuffix("/"), !HubPage.hasFileEnding(text), !FileSystem.exists(text),
            // A publisher that the registry knows means its models, also where their names are wrong.
            !text.hasPrefix("torchvision/"), !text.hasPrefix("keras/"),
            let parsed = try? HubReference("hf://" + text, kind: options.kind), parsed.path == nil,
            parsed.name.id.utf8.contains(UInt8(ascii: "/")), (try? Registry.find(text)) == nil
        else { return nil }
        return "hf://" + text
    }
}

// The Hub's own hosts, which may hear its token, and how a mirror of them is followed.

/// Which servers are the Hub.
enum HubHosts {
    /// The servers that the Hub itself runs.
    static let origins: Set<String> = [
        "https://huggingface.co:443", "https://www.huggingface.co:443", "https://hf.co:443",
        "https://hub-ci.huggingface.co:443",
    ]
    /// The names of the Hub that mirrors stand in for.
    private static let mirrored: Set<String> = ["https://huggingface.co:443", "https://hf.co:443"]

    /// The same at `endpoint`, where that is a mirror of the Hub and `location` is the Hub's.
    static func mirrored(_ location: Location, at endpoint: Location?) -> Location {
        guard let endpoint, mirrored.contains(location.origin),
            !mirrored.contains(endpoint.origin)
        else { return location }
        let path = location.text.dropFirst("https://".count).drop { $0 != "/" }
        var base = endpoint.text
        while base.hasSuffix("/") { base.removeLast() }
        return (try? Location(base + path)) ?? location
    }
}

/// A chain of redirects: each place is asked once.
struct Redirects {
    private var seen: Set<String>
    private(set) var count = 0
    private static let limit = 20
    let start: Location

    init(_ start: Location) {
        self.start = start
        seen = [start.text]
    }

    /// Where an answer of `location` that names `target` leads.
    ///
    /// A mirror's answers may name the Hub that it mirrors: the mirror is asked instead, until it sends
    /// its clients there itself.
    mutating func next(_ target: String, of location: Location, _ http: HTTP) throws -> Location {
        let named = try Location(target, relativeTo: location)
        var next = http.rewritten(named)
        if seen.contains(next.text) { next = named }
        guard location.scheme == next.scheme || next.scheme == "https" else {
            throw HubError.redirect(.downgrade(url: location.shown))
        }
        count += 1
        guard seen.insert(next.text).inserted else {
            throw HubError.redirect(.circle(url: start.shown, again: next.shown))
        }
        guard count <= Self.limit else {
            throw HubError.redirect(.tooMany(url: start.shown, limit: Self.limit))
        }
        return next
    }
}

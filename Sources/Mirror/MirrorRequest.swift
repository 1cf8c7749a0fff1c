// A client's request, as far as a mirror cares.

import GraftCache
import GraftServer

/// A request, its path taken apart before anything in it is decoded.
struct MirrorRequest: Sendable {
    /// The request as the server read it.
    let request: ServerRequest
    /// The parts of the path, each decoded by itself: `refs%2Fpr%2F1` is one part.
    let parts: [String]
    /// The path as it was sent, without the query.
    let rawPath: String
    /// The query, in order.
    let query: [(name: String, value: String)]

    /// `GET`, `HEAD`, `POST`…
    var method: String { request.method }
    /// The fields, by names in lower case.
    var fields: [String: String] { request.fields }

    /// A request; nil where the path cannot be decoded.
    init?(_ request: ServerRequest) {
        let halves = request.target.split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        rawPath = String(halves.first ?? "")
        guard rawPath.hasPrefix("/") else { return nil }
        var parts: [String] = []
        for part in rawPath.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard let text = PercentCoding.decoded(part) else { return nil }
            parts.append(text)
        }
        // Some clients end folders with a slash.
        if parts.last?.isEmpty == true { parts.removeLast() }
        self.parts = parts
        self.request = request
        query = Self.pairs(halves.count == 2 ? String(halves[1]) : "")
    }

    /// The last value of a name in the query.
    func value(_ name: String) -> String? { query.last { $0.name == name }?.value }

    /// Whether the query says yes.
    func isSet(_ name: String) -> Bool {
        value(name).map { ["true", "1", "True"].contains($0) } ?? false
    }

    /// The address that the client called this server by; nil where it names none that could be one.
    var origin: String? {
        guard let host = fields["host"], !host.isEmpty,
            host.utf8.allSatisfy({
                (48...57).contains($0) || (97...122).contains($0 | 0x20)
                    || "-.:[]".utf8.contains($0)
            })
        else { return nil }
        // A proxy in front says how it was called.
        let scheme = fields["x-forwarded-proto"] == "https" ? "https" : "http"
        return "\(scheme)://\(host)"
    }

    /// The values of a form: `paths=a&paths=b`.
    static func pairs(_ text: String) -> [(name: String, value: String)] {
        text.split(separator: "&").compactMap { pair in
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = halves.count == 2 ? halves[1] : ""
            func plain(_ text: Substring) -> String? {
                PercentCoding.decoded(
                    text.split(separator: "+", omittingEmptySubsequences: false)
                        .joined(separator: " "))
            }
            guard let name = plain(halves[0]), let text = plain(value) else { return nil }
            return (name, text)
        }
    }
}

// What a client asks for, as far as a mirror cares.

import GraftCache

/// A request, its path taken apart before anything in it is decoded.
struct MirrorRequest: Sendable {
    /// `GET`, `HEAD` or `POST`.
    let method: String
    /// The parts of the path, each decoded by itself: `refs%2Fpr%2F1` is one part.
    let parts: [String]
    /// The path as it was sent, without the query.
    let rawPath: String
    /// The query, in order.
    let query: [(name: String, value: String)]
    /// The fields, by names in lower case.
    let fields: [String: String]
    /// The body, of what is not `GET` or `HEAD`.
    let body: [UInt8]

    /// A request; nil where the path cannot be decoded.
    init?(
        method: String, target: String, fields: [String: String] = [:], body: [UInt8] = []
    ) {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
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
        self.method = method
        self.fields = fields
        self.body = body
        query = Self.pairs(halves.count == 2 ? String(halves[1]) : "")
    }

    /// The last value of a name in the query.
    func value(_ name: String) -> String? { query.last { $0.name == name }?.value }

    /// Whether the query says yes.
    func isSet(_ name: String) -> Bool {
        value(name).map { ["true", "1", "True"].contains($0) } ?? false
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

// When a server says that we may ask again: `Retry-After` in both forms, and the `RateLimit` header.

import FoundationEssentials

enum RetryAfter {
    /// A request is given up once its waits would take longer than this together, in seconds.
    static let longest = 600.0

    /// How many seconds an answer asks us to wait, at `now` seconds since 1970; nil where it does not.
    ///
    /// The Hub sends `RateLimit: "resolvers";r=0;t=120`: the window of a quota that is used up (`r=0`)
    /// ends in `t` seconds. Others send `Retry-After`, as seconds or as a date (RFC 9110, 10.2.3).
    static func seconds(_ fields: [String: String], now: Double) -> Double? {
        if let limit = fields["ratelimit"], let rest = window(limit) {
            return rest + 1
        }
        guard let text = fields["retry-after"] else { return nil }
        if let seconds = Int(text) { return max(Double(seconds), 0) }
        guard let date = date(text) else { return nil }
        return max(date - now, 0)
    }

    /// Which quota is used up, in words: `` `api`: 500 per 300 s``; nil where nothing says so.
    static func quota(_ fields: [String: String]) -> String? {
        guard let text = fields["ratelimit-policy"] else { return nil }
        var (name, count, window): (String?, Int?, Int?)
        for part in text.split(separator: ";") {
            let pair = part.split(separator: "=").map { trimmed($0) }
            if pair.count == 2, pair[0] == "q" { count = Int(pair[1]) }
            if pair.count == 2, pair[0] == "w" { window = Int(pair[1]) }
            let isName = pair.count == 1 && pair[0].hasPrefix("\"") && pair[0] != "\"fixed window\""
            if isName { name = pair[0].filter { $0.isASCII && ($0.isLetter || $0.isNumber) } }
        }
        guard let count, let window else { return nil }
        return (name.map { "`\($0)`: " } ?? "") + "\(count) per \(window) s"
    }

    /// Seconds until the window ends, where nothing of it is left.
    private static func window(_ text: String) -> Double? {
        var remaining: Int?
        var rest: Int?
        for part in text.split(separator: ";").dropFirst() {
            let pair = part.split(separator: "=").map { trimmed($0) }
            guard pair.count == 2 else { continue }
            if pair[0] == "r" { remaining = Int(pair[1]) }
            if pair[0] == "t" { rest = Int(pair[1]) }
        }
        return remaining == 0 ? rest.map { Double(max($0, 0)) } : nil
    }

    /// The seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the form that RFC 9110 asks for.
    static func date(_ text: String) -> Double? {
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let parts = text.split { " ,:".contains($0) }
        guard parts.count == 8, parts[7] == "GMT", let day = Int(parts[1]),
            let month = months.firstIndex(of: String(parts[2])), let year = Int(parts[3]),
            (1970...9999).contains(year), let hour = Int(parts[4]), let minute = Int(parts[5]),
            let second = Int(parts[6]), (1...31).contains(day), (0..<24).contains(hour),
            (0..<60).contains(minute), (0...60).contains(second)
        else { return nil }
        // Days since 1970 in the Gregorian calendar, years beginning in March.
        let shifted = month < 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return Double(days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// How long to wait before the attempt that follows `failures` failed ones: any time up to a bound
    /// that doubles, so that clients which failed together do not come back together.
    static func backOff(_ failures: Int) -> Double {
        Double.random(in: 0.02...1) * min(8, 0.25 * Double(1 << min(max(failures, 0), 8)))
    }
}

// Sizes, ages and moments as people write them: `1.5GB`, `30d`, RFC 3339.

import GraftSystem

/// Reads and writes quantities.
public enum Quantity {
    /// Bytes: `1500`, `50GB`, `1.5 G`, `512MiB`. Without an `i` the units are powers of 1000.
    public static func bytes(_ text: String) throws(CacheError) -> Int {
        let (number, unit) = try split(text, "a size such as `50GB`")
        var letters = unit.lowercased()
        if letters.hasSuffix("b") { letters.removeLast() }
        let base: Double = letters.hasSuffix("i") ? 1024 : 1000
        if letters.hasSuffix("i") { letters.removeLast() }
        guard let power = ["", "k", "m", "g", "t", "p"].firstIndex(of: letters) else {
            throw .quantity(text, expected: "a size such as `50GB` or `512MiB`")
        }
        var scale = 1.0
        for _ in 0..<power { scale *= base }
        guard let count = Int(exactly: (number * scale).rounded()) else {
            throw .quantity(text, expected: "a size below 8 EB")
        }
        return count
    }

    /// Seconds: `90`, `30s`, `15m`, `12h`, `30d`, `2w`, `6mo`, `1y`.
    public static func seconds(_ text: String) throws(CacheError) -> Int {
        let (number, unit) = try split(text, "an age such as `30d`")
        let scale: Double? =
            switch unit.lowercased() {
            case "", "s": 1
            case "m": 60
            case "h": 3600
            case "d": 86400
            case "w": 7 * 86400
            case "mo": 30 * 86400
            case "y": 365 * 86400
            default: nil
            }
        guard let scale, let count = Int(exactly: (number * scale).rounded()) else {
            throw .quantity(text, expected: "an age such as `12h`, `30d`, `2w`, `6mo` or `1y`")
        }
        return count
    }

    /// A moment in UTC, RFC 3339, from the seconds since 1970.
    public static func moment(_ seconds: Int) -> String { Clock.text(seconds) }

    /// The seconds since 1970.
    public static var now: Int { Clock.now }

    private static func split(
        _ text: String, _ expected: String
    ) throws(CacheError) -> (Double, String) {
        let trimmed = text.filter { $0 != " " && $0 != "_" }
        let digits = trimmed.prefix { $0.isNumber || $0 == "." }
        guard let number = Double(digits), number.isFinite, number >= 0 else {
            throw .quantity(text, expected: expected)
        }
        return (number, String(trimmed[digits.endIndex...]))
    }
}

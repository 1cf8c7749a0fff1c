// `--limit-rate`: one allowance of bytes a second that all connections draw from.

/// A token bucket: what is taken beyond the allowance is a debt, and in debt nobody takes more.
struct RateLimit {
    /// Bytes a second.
    let bytesPerSecond: Double
    private var allowance: Double
    private var filled: Double
    /// What may be taken at once after a silence; enough for a machine that wakes us late.
    private let capacity: Double

    /// A full bucket, at `now` seconds of any clock that only goes forward.
    init(bytesPerSecond: Int, now: Double) {
        self.bytesPerSecond = Double(max(1, bytesPerSecond))
        capacity = self.bytesPerSecond / 4
        allowance = capacity
        filled = now
    }

    /// How long nobody may take anything; zero where there is something to take.
    mutating func wait(now: Double) -> Double {
        allowance = min(capacity, allowance + (now - filled) * bytesPerSecond)
        filled = now
        return allowance > 0 ? 0 : max(-allowance / bytesPerSecond, 0.001)
    }

    /// Takes bytes that arrived.
    mutating func take(_ count: Int) { allowance -= Double(count) }
}

/// A rate or a size for people: `500k`, `2.5MB`, `1GiB`; nil where it is none.
public func parsedByteCount(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let number = Double(digits), number.isFinite, number >= 0 else { return nil }
    let unit = text[digits.endIndex...].lowercased().filter { $0 != " " }
    let powers = ["": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4]
    let isBinary = unit.hasSuffix("ib") || unit.hasSuffix("i")
    let letter =
        isBinary
        ? String(unit.prefix(1))
        : unit.count == 2 && unit.hasSuffix("b")
            ? String(unit.prefix(1)) : unit
    guard let power = powers[letter], !(isBinary && unit.count > 3) else { return nil }
    var value = number
    for _ in 0..<power { value *= isBinary ? 1024 : 1000 }
    return value < 9e18 ? Int(value) : nil
}

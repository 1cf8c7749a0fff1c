// Sizes that others name: read strictly, bounded, and added without overflow.

/// What a size in a header, a list or a file may be.
package enum ByteCount {
    /// No file is larger: sums and products with a size up to this stay far from overflow.
    package static let maximum = 1 << 56

    /// Whether a size is one.
    package static func isSound(_ count: Int) -> Bool { (0...maximum).contains(count) }

    /// The size that decimal digits say; nil for signs, other characters and what no file has.
    package static func parsed(_ text: some StringProtocol) -> Int? {
        guard (1...20).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            let count = Int(text), isSound(count)
        else { return nil }
        return count
    }
}

extension Sequence<Int> {
    /// The sum of sizes; the largest number there is where it would be more.
    package var clampedSum: Int {
        reduce(0) { sum, next in
            let (total, overflow) = sum.addingReportingOverflow(Swift.max(0, next))
            return overflow ? .max : total
        }
    }

    /// The sum of sizes; nil where one is none, or where the sum is larger than a size may be.
    package var checkedSum: Int? {
        var total = 0
        for next in self {
            guard ByteCount.isSound(next) else { return nil }
            total += next
            guard ByteCount.isSound(total) else { return nil }
        }
        return total
    }
}

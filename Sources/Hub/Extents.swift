// Which parts of a file are on the disk: ranges that neither touch nor overlap.

/// A set of byte offsets, kept as sorted ranges.
struct Extents: Equatable {
    private(set) var ranges: [Range<Int>] = []

    init(_ ranges: [Range<Int>] = []) {
        for range in ranges { insert(range) }
    }

    /// How many bytes they cover.
    var byteCount: Int { ranges.reduce(0) { $0 + $1.count } }

    /// Where the first byte is missing.
    var front: Int {
        guard let first = ranges.first, first.lowerBound == 0 else { return 0 }
        return first.upperBound
    }

    /// Adds a range, joining it with those that it touches.
    mutating func insert(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        // Bytes arrive at the end of a range that is there: the usual case.
        let first = index { $0.upperBound >= range.lowerBound }
        var last = first
        var joined = range
        while last < ranges.count, ranges[last].lowerBound <= range.upperBound {
            joined =
                min(
                    joined.lowerBound, ranges[last].lowerBound)..<max(
                    joined.upperBound, ranges[last].upperBound)
            last += 1
        }
        ranges.replaceSubrange(first..<last, with: CollectionOfOne(joined))
    }

    /// Removes a range.
    mutating func remove(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        ranges = ranges.flatMap { old -> [Range<Int>] in
            let before = old.lowerBound..<max(old.lowerBound, min(old.upperBound, range.lowerBound))
            let after = min(old.upperBound, max(old.lowerBound, range.upperBound))..<old.upperBound
            return [before, after].filter { !$0.isEmpty }
        }
    }

    /// Whether every byte of a range is there.
    func contains(_ range: Range<Int>) -> Bool {
        if range.isEmpty { return true }
        let position = index { $0.upperBound >= range.upperBound }
        return position < ranges.count && ranges[position].lowerBound <= range.lowerBound
    }

    /// The parts of a range that are missing.
    func gaps(in range: Range<Int>) -> [Range<Int>] {
        var gaps: [Range<Int>] = []
        var start = range.lowerBound
        for known in ranges[index(where: { $0.upperBound > range.lowerBound })...] {
            guard known.lowerBound < range.upperBound else { break }
            if start < known.lowerBound { gaps.append(start..<known.lowerBound) }
            start = max(start, known.upperBound)
        }
        if start < range.upperBound { gaps.append(start..<range.upperBound) }
        return gaps
    }

    /// The first range that fulfils a condition which, once true, stays true.
    private func index(where holds: (Range<Int>) -> Bool) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if holds(ranges[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

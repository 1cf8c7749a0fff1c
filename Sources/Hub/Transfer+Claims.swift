// Which connection fetches which part of a file, and from where.

extension Transfer {
    /// A part that is not worth a connection of its own, in bytes.
    private static let smallest = 1 << 20

    /// How many connections the file may have now.
    var wantedConnections: Int {
        guard hasBegun, !isStream, let byteCount, byteCount > Self.segmentedFrom else { return 1 }
        return min(pace.connections, options.connections)
    }

    /// Bytes that nobody has and nobody fetches, or the tail of what somebody fetches; nil where no
    /// further connection is of use.
    func nextClaim() -> Range<Int>? {
        guard let byteCount else {
            return connections.isEmpty ? extents.front..<(.max) : nil
        }
        if isStream { return connections.isEmpty ? extents.front..<byteCount : nil }
        var taken = extents
        for connection in connections { taken.insert(connection.claim) }
        if let gap = taken.gaps(in: 0..<byteCount).first {
            guard byteCount > Self.segmentedFrom else { return gap }
            // In turn from the front, so that the digest keeps up; the fast ones come again sooner.
            let share = byteCount / (max(wantedConnections, pace.connections) * 4)
            let size = min(max(share, 4 << 20), 64 << 20)
            return gap.lowerBound..<min(gap.upperBound, gap.lowerBound + size)
        }
        // Near the end: half of what the slowest has still to do.
        let victim = connections.filter { $0.hasBegun && !$0.isSatisfied }
            .max { $0.claim.upperBound - $0.cursor < $1.claim.upperBound - $1.cursor }
        guard let victim, victim.claim.upperBound - victim.cursor >= 2 * Self.smallest else {
            return nil
        }
        let end = victim.claim.upperBound
        let middle = victim.cursor + (end - victim.cursor) / 2
        victim.claim = victim.claim.lowerBound..<middle
        return middle..<end
    }

    /// The source to ask next: of those that may be asked, the one with the fewest connections.
    func nextSource(now: Double) -> Int? {
        sources.indices.filter { sources[$0].failure == nil && sources[$0].notBefore <= now }
            .min { busy($0) < busy($1) }
    }

    private func busy(_ source: Int) -> Int { connections.count { $0.source == source } }

    /// Whether no source is left to ask.
    var isOutOfSources: Bool { sources.allSatisfy { $0.failure != nil } }

    /// When something can be tried again.
    var nextAttempt: Double {
        let soonest = sources.filter { $0.failure == nil }.map(\.notBefore).min() ?? 0
        return max(notBefore, soonest)
    }
}

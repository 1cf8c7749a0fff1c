// Which learning rate suits: losses over rates that grow, and what they suggest.

/// What a search for a learning rate met.
public struct RateSearch: Sendable, Encodable {
    /// One step.
    public struct Point: Sendable, Encodable {
        /// The rate that the step used.
        public var rate: Double
        /// The loss of its batch before it.
        public var loss: Double
        /// The running mean of the losses.
        public var smoothed: Double
    }

    /// The steps in order.
    public private(set) var points: [Point] = []
    private var mean = 0.0

    /// Notes a step; false when the loss is four times the best or no number: the search is over.
    mutating func add(rate: Double, loss: Double) -> Bool {
        guard loss.isFinite else { return false }
        mean = 0.98 * mean + 0.02 * loss
        let smoothed = mean / (1 - raised(0.98, Double(points.count + 1)))
        points.append(Point(rate: rate, loss: loss, smoothed: smoothed))
        let best = points.map(\.smoothed).min() ?? smoothed
        return points.count < 10 || smoothed <= 4 * best
    }

    /// Two thirds along the longest fall of the smoothed loss ("valley", as fastai chooses), nil if
    /// it never falls.
    public var suggestion: Double? {
        // The longest decreasing subsequence, by its end.
        let losses = points.map(\.smoothed)
        guard losses.count > 2 else { return nil }
        var length = [Int](repeating: 1, count: losses.count)
        for end in losses.indices {
            for before in 0..<end where losses[before] > losses[end] {
                length[end] = max(length[end], length[before] + 1)
            }
        }
        guard let longest = length.max(), longest > 2, let end = length.firstIndex(of: longest)
        else { return nil }
        let start = end - longest + 1
        let at = start + longest * 2 / 3
        return points[min(max(at, 0), points.count - 1)].rate
    }

    enum CodingKeys: String, CodingKey { case points }
}

// The processes that train together: what they need of each other.

/// Processes that share one training run. All of them decide the same, and each computes its part.
public protocol Crew: AnyObject {
    /// Which of them this is, 0 ..< ``count``.
    var rank: Int { get }
    /// How many there are.
    var count: Int { get }
    /// Waits until all are here.
    func barrier() throws
    /// Replaces numbers by their sum over all processes.
    func sum(_ numbers: UnsafeMutableBufferPointer<Float>) throws
    /// Begins to replace numbers by their sum; they must stay where they are until ``finish()``.
    func startSum(_ numbers: UnsafeMutableBufferPointer<Float>) throws
    /// Waits for all sums that were begun.
    func finish() throws
}

extension Crew {
    /// Those of the photos of a batch that this process computes: every Nth.
    func own<Element>(_ photos: [Element]) -> [Element] {
        guard count > 1 else { return photos }
        return stride(from: rank, to: photos.count, by: count).map { photos[$0] }
    }
}

/// One process of its own.
public final class Alone: Crew {
    /// The only one.
    public let rank = 0
    /// No other.
    public let count = 1
    /// One process of its own.
    public init() {}
    /// Nobody is waited for.
    public func barrier() {}
    /// The sum of one number is that number.
    public func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
    /// The sum of one number is that number.
    public func startSum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
    /// Nothing was begun.
    public func finish() {}
}

/// Adds up gradients over all processes in buckets, while the backward pass goes on.
final class GradientSum {
    private let crew: any Crew
    private let staging: UnsafeMutableBufferPointer<Float>
    private var places: [(parameter: Int, range: Range<Int>)] = []
    private var filled = 0
    private var begun = 0
    /// About a megabyte: large enough to be worth a message, small enough to leave early.
    private static let bucket = 1 << 18

    /// The loss of the batch.
    private let loss: UnsafeMutableBufferPointer<Float>

    init(_ crew: any Crew, count: Int) {
        self.crew = crew
        staging = .allocate(capacity: count)
        staging.initialize(repeating: 0)
        loss = .allocate(capacity: 1)
        loss.initialize(repeating: 0)
    }

    deinit {
        staging.deallocate()
        loss.deallocate()
    }

    /// Begins a batch, to whose mean loss this process adds so much.
    func begin(loss: Float) throws {
        self.loss[0] = loss
        try crew.startSum(self.loss)
    }

    /// Takes this process' part of the gradient of a parameter.
    func add(_ parameter: Int, _ gradient: UnsafeMutableBufferPointer<Float>) throws {
        let range = filled..<(filled + gradient.count)
        _ = UnsafeMutableBufferPointer(rebasing: staging[range]).update(fromContentsOf: gradient)
        places.append((parameter, range))
        filled = range.upperBound
        if filled - begun >= Self.bucket { try begin() }
    }

    private func begin() throws {
        guard filled > begun else { return }
        try crew.startSum(UnsafeMutableBufferPointer(rebasing: staging[begun..<filled]))
        begun = filled
    }

    /// Waits for the sums and hands them back; the mean loss of the batch.
    func finish(_ body: (Int, UnsafeMutableBufferPointer<Float>) throws -> Void) throws -> Float {
        try begin()
        try crew.finish()
        for place in places {
            try body(place.parameter, UnsafeMutableBufferPointer(rebasing: staging[place.range]))
        }
        places.removeAll(keepingCapacity: true)
        (filled, begun) = (0, 0)
        return loss[0]
    }
}

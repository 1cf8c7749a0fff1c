// The processes that train together: what they need of each other.

/// Processes that share one training run. Every process decides the same and computes its part.
package protocol Crew: AnyObject {
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

/// One process of its own.
package final class Alone: Crew {
    package let rank = 0
    package let count = 1
    package init() {}
    package func barrier() {}
    package func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
    package func startSum(_ numbers: UnsafeMutableBufferPointer<Float>) {}
    package func finish() {}
}

// What the loop needs of an engine: a frozen part that runs, and a part that learns.

package import GraftExecution
package import GraftNetworks
package import GraftTensors

/// Makes runnable parts of networks.
package protocol TrainingEngine {
    /// The network's output for batches of the shape `input`.
    func frozen(_ graph: Graph, weights: StateDict, input: Shape) throws
        -> (Tensor) throws -> Tensor
    /// A network that learns `trainable`, up to the values of the nodes `outputs`. What moves in `moving`
    /// follows the batch of all of `crew`.
    func learner(
        _ graph: Graph, weights: StateDict, input: Shape, trainable: Set<String>,
        moving: MovingStatistics?, crew: any Crew, outputs: [Int]
    ) throws -> any Learner
}

/// A network that learns. BatchNorm uses its running statistics, but for those that move.
package protocol Learner: AnyObject {
    /// What learns, in the order of the graph.
    var trainable: [Parameter] { get }
    /// The running statistics of BatchNorm that move, in the order of the graph.
    var statistics: [Parameter] { get }
    /// The outputs for a batch; without a seed, dropout does nothing and statistics stay.
    func forward(_ input: Tensor, dropoutSeed: UInt64?) throws -> [Tensor]
    /// The statistics that for now neither move nor give way to those of the batch.
    func hold(_ statistics: Set<String>)
    /// Lends the numbers of one of ``statistics``.
    func withStatistic(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws
    /// Computes the gradients of what learns from those of the last outputs, in their order.
    /// `ready` hears of each parameter, by its index, as soon as its gradient is complete.
    func backward(_ gradients: [Tensor], ready: ((Int) throws -> Void)?) throws
    /// Lends a parameter and its gradient.
    func withParameter(
        _ index: Int,
        _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws ->
            Void
    ) throws
}

extension Learner {
    package var statistics: [Parameter] { [] }
    package func hold(_ statistics: Set<String>) {}
    package func withStatistic(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {}
}

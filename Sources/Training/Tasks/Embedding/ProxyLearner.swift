// A network that learns, and beside it a vector for each class that only the loss reads.

import GraftNetworks
import GraftTensors

/// Adds the vectors of the classes to what learns. The network knows nothing of them, and the model
/// that a run leaves does not have them.
final class ProxyLearner: Learner {
    /// What the vectors are called in a checkpoint.
    static let name = "proxies"

    private let network: any Learner
    private let values: UnsafeMutableBufferPointer<Float>
    private let gradient: UnsafeMutableBufferPointer<Float>
    let trainable: [Parameter]

    /// Vectors drawn from `seed`, as Keras draws a dense layer's.
    init(_ network: any Learner, classes: Int, width: Int, seed: UInt64) {
        self.network = network
        trainable =
            network.trainable + [
                Parameter(name: Self.name, shape: [classes, width], role: .matrix)
            ]
        // Not the numbers that the head was drawn from.
        var random = RandomSource(seed: seed ^ 0x70_726F_7869_6573)
        values = .allocate(capacity: classes * width)
        _ = values.initialize(
            fromContentsOf: random.glorotUniform(
                count: classes * width, fanIn: width, fanOut: classes))
        gradient = .allocate(capacity: classes * width)
        gradient.initialize(repeating: 0)
    }

    deinit {
        values.deallocate()
        gradient.deallocate()
    }

    /// The vectors as the loss reads them.
    var proxies: EmbeddingLoss.Proxies { .init(values, gradient: gradient) }

    var statistics: [Parameter] { network.statistics }

    func forward(_ input: Tensor, dropoutSeed: UInt64?) throws -> [Tensor] {
        try network.forward(input, dropoutSeed: dropoutSeed)
    }

    func hold(_ statistics: Set<String>) { network.hold(statistics) }

    func withStatistic(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        try network.withStatistic(index, body)
    }

    /// The gradient of the vectors is there already: the loss has put it.
    func backward(_ gradients: [Tensor], ready: ((Int) throws -> Void)?) throws {
        try network.backward(gradients, ready: ready)
        try ready?(trainable.count - 1)
    }

    func withParameter(
        _ index: Int,
        _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws ->
            Void
    ) throws {
        guard index == trainable.count - 1 else {
            return try network.withParameter(index, body)
        }
        try body(values, gradient)
    }
}

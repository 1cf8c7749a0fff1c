// BatchNorm that learns: the statistics of the batch, and running ones that follow them.

import CKernels
import GraftNetworks
import GraftTensors

/// The running statistics that follow those of the batches, and the manner of it.
public struct MovingStatistics: Sendable, Hashable {
    /// The names of the running means and variances that move; those of other layers stay.
    public var names: Set<String>
    /// Whether a running variance follows the unbiased one, n / (n − 1) times the batch's, as in
    /// PyTorch; Keras' follows the batch's own. Both normalise by the batch's own.
    public var isUnbiased: Bool

    /// These statistics, in the manner of PyTorch or of Keras.
    public init(names: Set<String>, isUnbiased: Bool) {
        self.names = names
        self.isUnbiased = isUnbiased
    }
}

/// Processes whose batches are one batch in parts of the same size: BatchNorm that learns normalises
/// by the statistics of all of them, as one process with the whole batch would.
public struct JointBatch {
    /// Which part this process has, 0 ..< ``count``.
    public var rank: Int
    /// The number of parts.
    public var count: Int
    /// Replaces numbers by their sum over all processes, which must all ask for it.
    public var sum: (UnsafeMutableBufferPointer<Float>) throws -> Void

    /// A batch in `count` parts.
    public init(
        rank: Int, count: Int, sum: @escaping (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) {
        self.rank = rank
        self.count = count
        self.sum = sum
    }

    /// Turns the statistics of this part into those of the whole. The parts' variances are joined
    /// about the common mean: sums of squares would cancel.
    func join(
        mean: UnsafeMutableBufferPointer<Float>, variance: UnsafeMutableBufferPointer<Float>
    ) throws {
        let width = mean.count
        var parts = [Float](repeating: 0, count: count * 2 * width)
        for channel in 0..<width {
            parts[rank * 2 * width + channel] = mean[channel]
            parts[(rank * 2 + 1) * width + channel] = variance[channel]
        }
        try parts.withUnsafeMutableBufferPointer { try sum($0) }
        for channel in 0..<width {
            var (center, spread) = (0.0, 0.0)
            for part in 0..<count { center += Double(parts[part * 2 * width + channel]) }
            center /= Double(count)
            for part in 0..<count {
                let off = Double(parts[part * 2 * width + channel]) - center
                spread += Double(parts[(part * 2 + 1) * width + channel]) + off * off
            }
            mean[channel] = Float(center)
            variance[channel] = Float(spread / Double(count))
        }
    }
}

/// A layer that normalises by its batch while learning, and by its running statistics else. Every thread has sums
/// of its own: no thread waits for another inside a loop.
final class LearningNorm {
    let source: Memory
    let layout: MapLayout
    let gamma: Memory
    let beta: Memory
    /// The running statistics.
    let running: (mean: Memory, variance: Memory)
    /// The name of the running mean, by which a layer is held back.
    let name: String
    let epsilon: Float
    /// Whether the last forward used the statistics of its batch.
    var usedBatch = false
    /// Those that the last forward used, and what they amount to: y = scale · x + shift.
    var mean: [Float]
    var variance: [Float]
    private(set) var inverse: [Float]
    private(set) var scale: [Float]
    private(set) var shift: [Float]
    private let channels: Int

    init(
        source: Memory, layout: MapLayout, gamma: Memory, beta: Memory,
        running: (mean: Memory, variance: Memory), name: String, epsilon: Float
    ) {
        (self.source, self.layout, self.gamma, self.beta) = (source, layout, gamma, beta)
        (self.running, self.name, self.epsilon) = (running, name, epsilon)
        channels = layout.shape[1]
        // With what fills up the last block.
        let zeros = [Float](repeating: 0, count: layout.filled)
        (mean, variance, inverse, scale, shift) = (zeros, zeros, zeros, zeros, zeros)
    }

    /// Takes the running statistics.
    func useRunning() {
        usedBatch = false
        for c in 0..<channels {
            (mean[c], variance[c]) = (running.mean.floats[c], running.variance.floats[c])
        }
    }

    /// Reads γ and β as they are now.
    func update() {
        for c in 0..<channels {
            inverse[c] = 1 / (variance[c] + epsilon).squareRoot()
            scale[c] = gamma.floats[c] * inverse[c]
            shift[c] = beta.floats[c] - mean[c] * scale[c]
        }
    }
}

extension Op.BatchNorm {
    /// Normalises by the batch where its statistics move, and by the running ones else.
    func learningNorm(
        at site: NodeSite, source x: Memory, learning: Learning, in pass: ForwardPass
    ) throws -> (norm: LearningNorm, y: Memory) {
        let (compiler, shape) = (pass.compiler, site.y)
        let channels = shape[1]
        func own(_ role: Parameter.Role, or fill: Float) throws -> Memory {
            try site.parameter(role).map { try pass.weight($0) }
                ?? compiler.constant([Float](repeating: fill, count: channels), dims: [channels])
        }
        let (source, layout) = try compiler.regular(x, of: shape)
        let norm = LearningNorm(
            source: source, layout: layout, gamma: try own(.scale, or: 1),
            beta: try own(.shift, or: 0),
            running: (try own(.runningMean, or: 0), try own(.runningVariance, or: 1)),
            name: try site.required(.runningMean).name, epsilon: epsilon)
        let to = MapLayout(shape, layout.order)
        let y = try compiler.memory(to)
        let (from, into) = (layout.loop, to.loop)
        let sums = try compiler.memory(.plain([graft_affine_sums_count(from)]))
        let joint = learning.joint
        let values = shape.count / channels * (joint?.count ?? 1)
        let bias: Float =
            learning.moving?.isUnbiased == true ? Float(values) / Float(max(values - 1, 1)) : 1
        let momentum = momentum
        compiler.append(site.name, by: "statistics", uses: [source, y, sums]) {
            if learning.movesStatistics, !learning.heldStatistics.contains(norm.name) {
                norm.usedBatch = true
                graft_channel_moments(from, source.floats, &norm.mean, &norm.variance, sums.floats)
                try norm.mean.withUnsafeMutableBufferPointer { mean in
                    try norm.variance.withUnsafeMutableBufferPointer { variance in
                        try joint?.join(
                            mean: UnsafeMutableBufferPointer(rebasing: mean[..<channels]),
                            variance: UnsafeMutableBufferPointer(rebasing: variance[..<channels]))
                    }
                }
                let (mean, variance) = (norm.running.mean.floats, norm.running.variance.floats)
                for c in 0..<channels {
                    mean[c] = (1 - momentum) * mean[c] + momentum * norm.mean[c]
                    variance[c] = (1 - momentum) * variance[c] + momentum * bias * norm.variance[c]
                }
            } else {
                norm.useRunning()
            }
            norm.update()
            graft_channel_affine(
                from, source.floats, norm.scale, 0, norm.shift, -.infinity, .infinity, into,
                y.floats)
        }
        return (norm, y)
    }

    /// dx = γ/σ · (dy − (Σdy + x̂ · Σ(dy · x̂)) / n), the sums and n over all parts of the batch; with
    /// given statistics, the first term alone.
    func backward(
        from gradients: OutputGradients, _ norm: LearningNorm, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> Memory {
        let (compiler, shape) = (pass.compiler, site.y)
        let channels = shape[1]
        let (source, loop) = (norm.source, norm.layout.loop)
        let dx = try compiler.memory(norm.source.descriptor)
        dx.layout = norm.layout
        let dy = try compiler.reordered(try gradients.sum(), to: norm.source.descriptor)
        let ofScale = pass.gradient(of: site.parameter(.scale))
        let ofShift = pass.gradient(of: site.parameter(.shift))
        let sums = try compiler.memory(.plain([graft_affine_sums_count(loop)]))
        let joint = pass.learning.joint
        let values = Double(shape.count / channels * (joint?.count ?? 1))
        let zeros = [Float](repeating: 0, count: norm.layout.filled)
        compiler.append(site.name, by: "statistics", uses: [source, dy, dx, sums]) {
            // Σ dy (x − μ), then Σ dy.
            var both = zeros + zeros
            both.withUnsafeMutableBufferPointer { both in
                guard let base = both.baseAddress else { return }
                graft_channel_affine_backward(
                    loop, source.floats, dy.floats, nil, 0, 0, norm.scale, norm.mean, nil, base,
                    base + zeros.count, sums.floats)
            }
            for c in 0..<channels {
                ofScale?.floats[c] = both[c] * norm.inverse[c]
                ofShift?.floats[c] = both[zeros.count + c]
            }
            var (slope, offset) = (zeros, zeros)
            if norm.usedBatch {
                try both.withUnsafeMutableBufferPointer { try joint?.sum($0) }
                for c in 0..<channels {
                    let (scale, inverse) = (Double(norm.scale[c]), Double(norm.inverse[c]))
                    let a = -scale * inverse * inverse * Double(both[c]) / values
                    slope[c] = Float(a)
                    offset[c] = Float(
                        -scale * Double(both[zeros.count + c]) / values - a * Double(norm.mean[c]))
                }
            }
            graft_channel_combine(
                loop, dy.floats, norm.scale, source.floats, slope, offset, dx.floats)
        }
        return dx
    }
}

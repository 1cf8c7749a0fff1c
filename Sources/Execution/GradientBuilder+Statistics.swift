// BatchNorm that learns: the statistics of the batch, and running ones that follow them.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// How running statistics follow those of the batches, and which of them do.
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
    /// How many parts there are.
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
/// of its own: nobody waits for anybody inside a loop.
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

extension GradientBuilder {
    /// Whether a layer normalises by its batch when it learns.
    func learnsStatistics(_ node: Node) -> Bool {
        guard case .batchNorm = node.op, let moving,
            let mean = compiler.parameter(node, .runningMean),
            let variance = compiler.parameter(node, .runningVariance)
        else { return false }
        return moving.names.contains(mean.name) && moving.names.contains(variance.name)
    }

    private func usesBatch(_ norm: LearningNorm) -> Bool {
        movesStatistics && !heldStatistics.contains(norm.name)
    }

    func learningNorm(
        _ index: Int, _ node: Node, _ x: Memory, epsilon: Float, momentum: Float
    ) throws -> Memory {
        let channels = shapes[index][1]
        func own(_ role: Parameter.Role, or fill: Float) throws -> Memory {
            try compiler.parameter(node, role).map { try weight($0, dims: [channels]) }
                ?? compiler.constant([Float](repeating: fill, count: channels), dims: [channels])
        }
        let (source, layout) = try compiler.regular(x, shapes[index])
        let norm = LearningNorm(
            source: source, layout: layout, gamma: try own(.scale, or: 1),
            beta: try own(.shift, or: 0),
            running: (try own(.runningMean, or: 0), try own(.runningVariance, or: 1)),
            name: compiler.parameter(node, .runningMean)?.name ?? "", epsilon: epsilon)
        let to = MapLayout(shapes[index], layout.order)
        let y = try compiler.memory(to)
        let (from, into) = (layout.loop, to.loop)
        let sums = try compiler.memory(.plain([graft_affine_sums_count(from)]))
        let joint = joint
        let values = shapes[index].count / channels * (joint?.count ?? 1)
        let bias: Float =
            moving?.isUnbiased == true ? Float(values) / Float(max(values - 1, 1)) : 1
        compiler.append(node.name, "statistics", uses: [source, y, sums]) { [unowned self] in
            if usesBatch(norm) {
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
        learningNorms[index] = norm
        return y
    }

    /// dx = γ/σ · (dy − (Σdy + x̂ · Σ(dy · x̂)) / n), the sums and n over all parts of the batch; with
    /// given statistics, the first term alone.
    func learningNormBackward(_ index: Int, _ node: Node, _ dy: Memory, _ norm: LearningNorm) throws
    {
        let channels = shapes[index][1]
        func gradient(_ role: Parameter.Role) -> Memory? {
            compiler.parameter(node, role).flatMap { slots[$0.name]?.gradient }
        }
        let (source, loop) = (norm.source, norm.layout.loop)
        let dx = try compiler.memory(norm.source.descriptor)
        dx.layout = norm.layout
        let dy = try compiler.reordered(dy, to: norm.source.descriptor)
        let (ofScale, ofShift) = (gradient(.scale), gradient(.shift))
        let sums = try compiler.memory(.plain([graft_affine_sums_count(loop)]))
        let joint = joint
        let values = Double(shapes[index].count / channels * (joint?.count ?? 1))
        let zeros = [Float](repeating: 0, count: norm.layout.filled)
        compiler.append(node.name, "statistics", uses: [source, dy, dx, sums]) {
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
        try accumulate(node.inputs[0], dx)
    }
}

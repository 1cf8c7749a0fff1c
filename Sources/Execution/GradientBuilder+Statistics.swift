// BatchNorm that learns: the statistics of the batch, and running ones that follow them.

import CDNNL
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

extension GradientBuilder {
    /// A layer that normalises by its batch while learning, and by its running statistics else.
    struct LearningNorm {
        let source: Memory
        let gamma: Memory
        let beta: Memory
        /// The running statistics.
        let running: (mean: Memory, variance: Memory)
        /// Those of the last batch, for backward.
        let batch: (mean: Memory, variance: Memory)
        /// Forward with the statistics of the batch, and with the running ones.
        let forward: (batch: Primitive, running: Primitive)
        /// The name of the running mean, by which a layer is held back.
        let name: String
    }

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

    private func norm(
        _ node: Node, _ layout: Descriptor, _ epsilon: Float, batch: Bool, hint: Primitive? = nil
    ) throws -> Primitive {
        let primitive = try Primitive("plan layer `\(node.name)`") { pd in
            layout.withPointer {
                graft_batch_norm(
                    &pd, compiler.engine.engine,
                    hint == nil ? dnnl_forward_training : dnnl_backward, $0, $0, epsilon,
                    batch ? 1 : 0, hint?.description)
            }
        }
        compiler.note(node, primitive)
        return primitive
    }

    func learningNorm(
        _ index: Int, _ node: Node, _ x: Memory, epsilon: Float, momentum: Float
    ) throws -> Memory {
        let channels = shapes[index][1]
        func vector(_ fill: Float) throws -> Memory {
            try compiler.constant([Float](repeating: fill, count: channels), dims: [channels])
        }
        func own(_ role: Parameter.Role, or fill: Float) throws -> Memory {
            try compiler.parameter(node, role).map { try weight($0, dims: [channels]) }
                ?? vector(fill)
        }
        let norm = LearningNorm(
            source: x, gamma: try own(.scale, or: 1), beta: try own(.shift, or: 0),
            running: (try own(.runningMean, or: 0), try own(.runningVariance, or: 1)),
            batch: (try vector(0), try vector(1)),
            forward: (
                try self.norm(node, x.descriptor, epsilon, batch: true),
                try self.norm(node, x.descriptor, epsilon, batch: false)
            ), name: compiler.parameter(node, .runningMean)?.name ?? "")
        let y = try compiler.memory(x.descriptor)
        func arguments(_ statistics: (mean: Memory, variance: Memory)) -> BoundArguments {
            BoundArguments([
                (DNNL_ARG_SRC, x), (DNNL_ARG_MEAN, statistics.mean),
                (DNNL_ARG_VARIANCE, statistics.variance), (DNNL_ARG_SCALE, norm.gamma),
                (DNNL_ARG_SHIFT, norm.beta), (DNNL_ARG_DST, y),
            ])
        }
        let (learning, plain) = (arguments(norm.batch), arguments(norm.running))
        let engine = compiler.engine
        let joint = joint
        let values = shapes[index].count / channels * (joint?.count ?? 1)
        let bias: Float =
            moving?.isUnbiased == true ? Float(values) / Float(max(values - 1, 1)) : 1
        compiler.append(node.name, norm.forward.batch.implementation, uses: [x, y]) {
            [unowned self] in
            guard usesBatch(norm) else { return try norm.forward.running.run(engine, plain) }
            try norm.forward.batch.run(engine, learning)
            try check(dnnl_stream_wait(engine.stream), "finish")
            if let joint {
                try joint.join(
                    mean: norm.batch.mean.buffer.floats(channels),
                    variance: norm.batch.variance.buffer.floats(channels))
                try norm.forward.running.run(engine, learning)
            }
            for (running, batch, bias) in [
                (norm.running.mean, norm.batch.mean, 1),
                (norm.running.variance, norm.batch.variance, bias),
            ] {
                let (to, from) = (
                    running.buffer.floats(channels), batch.buffer.floats(channels)
                )
                for channel in 0..<channels {
                    to[channel] = (1 - momentum) * to[channel] + momentum * bias * from[channel]
                }
            }
        }
        learningNorms[index] = norm
        return y
    }

    func learningNormBackward(
        _ index: Int, _ node: Node, _ dy: Memory, _ norm: LearningNorm, epsilon: Float
    ) throws {
        let layout = norm.source.descriptor
        let channels = shapes[index][1]
        func gradient(_ role: Parameter.Role) throws -> Memory {
            try compiler.parameter(node, role).flatMap { slots[$0.name]?.gradient }
                ?? compiler.constant([Float](repeating: 0, count: channels), dims: [channels])
        }
        let dx = try compiler.memory(layout)
        let dy = try compiler.reordered(dy, to: layout)
        let (scale, shift) = (try gradient(.scale), try gradient(.shift))
        func arguments(_ statistics: (mean: Memory, variance: Memory)) -> BoundArguments {
            BoundArguments([
                (DNNL_ARG_SRC, norm.source), (DNNL_ARG_MEAN, statistics.mean),
                (DNNL_ARG_VARIANCE, statistics.variance), (DNNL_ARG_SCALE, norm.gamma),
                (DNNL_ARG_SHIFT, norm.beta), (DNNL_ARG_DIFF_DST, dy), (DNNL_ARG_DIFF_SRC, dx),
                (DNNL_ARG_DIFF_SCALE, scale), (DNNL_ARG_DIFF_SHIFT, shift),
            ])
        }
        let (learning, plain) = (arguments(norm.batch), arguments(norm.running))
        let batch = try self.norm(node, layout, epsilon, batch: true, hint: norm.forward.batch)
        let running = try self.norm(
            node, layout, epsilon, batch: false, hint: norm.forward.running)
        let engine = compiler.engine
        guard let joint else {
            compiler.append(node.name, batch.implementation, uses: [norm.source, dy, dx]) {
                [unowned self] in
                if usesBatch(norm) {
                    try batch.run(engine, learning)
                } else {
                    try running.run(engine, plain)
                }
            }
            return try accumulate(node.inputs[0], dx)
        }
        // dx = γ/σ · (dy − (Σdy + x̂ · Σ(dy · x̂)) / n), the sums and n over all parts. The first term
        // is that of given statistics, whose primitive also leaves the sums of this part; the rest
        // is a normalisation forward with another scale and shift.
        let values = shapes[index].count / channels * joint.count
        let rest = try compiler.memory(layout)
        let factors = (
            scale: try compiler.constant([Float](repeating: 0, count: channels), dims: [channels]),
            shift: try compiler.constant([Float](repeating: 0, count: channels), dims: [channels])
        )
        func remainder(_ statistics: (mean: Memory, variance: Memory)) -> BoundArguments {
            BoundArguments([
                (DNNL_ARG_SRC, norm.source), (DNNL_ARG_MEAN, statistics.mean),
                (DNNL_ARG_VARIANCE, statistics.variance), (DNNL_ARG_SCALE, factors.scale),
                (DNNL_ARG_SHIFT, factors.shift), (DNNL_ARG_DST, rest),
            ])
        }
        let (restOfBatch, none) = (remainder(norm.batch), remainder(norm.running))
        compiler.append(node.name, running.implementation, uses: [norm.source, dy, dx, rest]) {
            [unowned self] in
            let joins = usesBatch(norm)
            try running.run(engine, joins ? learning : plain)
            try check(dnnl_stream_wait(engine.stream), "finish")
            var sums = [Float](repeating: 0, count: 2 * channels)
            if joins {
                for channel in 0..<channels {
                    sums[channel] = scale.buffer.floats(channels)[channel]
                    sums[channels + channel] = shift.buffer.floats(channels)[channel]
                }
                try sums.withUnsafeMutableBufferPointer { try joint.sum($0) }
            }
            for channel in 0..<channels {
                let deviation = (norm.batch.variance.buffer.floats(channels)[channel] + epsilon)
                    .squareRoot()
                let factor =
                    -norm.gamma.buffer.floats(channels)[channel] / deviation / Float(values)
                factors.scale.buffer.floats(channels)[channel] = factor * sums[channel]
                factors.shift.buffer.floats(channels)[channel] = factor * sums[channels + channel]
            }
            try norm.forward.running.run(engine, joins ? restOfBatch : none)
        }
        try accumulate(node.inputs[0], dx)
        try accumulate(node.inputs[0], rest)
    }
}

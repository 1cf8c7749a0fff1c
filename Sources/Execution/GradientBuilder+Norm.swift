// BatchNorm with running statistics, and dropout: forward and backward.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension GradientBuilder {
    /// What a BatchNorm's backward needs: a frozen layer's factors, or all that goes into them.
    struct BatchNormState {
        var frozen: [Float]?
        var factors: ChannelFactors?
        var source: Memory
    }

    /// A BatchNorm that stands alone.
    func batchNorm(_ index: Int, _ node: Node, _ x: Memory, _ epsilon: Float) throws
        -> Memory
    {
        let shape = shapes[index]
        guard node.parameters.contains(where: { slots[$0.name] != nil }) else {
            let (scale, shift) = try compiler.affine(node, epsilon: epsilon)
            norms[index] = BatchNormState(frozen: scale, source: x)
            return try compiler.channelAffine(x, shape, scale: scale, shift: shift, as: node.name)
        }
        let (source, layout) = try compiler.regular(x, shape)
        let factors = try ChannelFactors(self, node, epsilon, filled: layout.filled)
        norms[index] = BatchNormState(factors: factors, source: source)
        let y = try compiler.memory(layout)
        let loop = layout.loop
        compiler.append(node.name, "affine", uses: [source, y]) {
            factors.update()
            graft_channel_affine(
                loop, source.floats, factors.scale, 0, factors.shift, -.infinity, .infinity, loop,
                y.floats)
        }
        return y
    }

    func dropout(_ index: Int, _ x: Memory, _ rate: Float) throws -> Memory {
        let (source, layout) = try compiler.regular(x, shapes[index])
        let y = try compiler.memory(layout)
        let count = try layout.descriptor().byteCount / 4
        let mask = Mask(layout: layout, factors: Buffer(byteCount: count * 4))
        masks[index] = mask
        let engine = compiler.engine
        compiler.append(compiler.graph.nodes[index].name, "loop", uses: [source, y]) {
            [unowned self] in
            try check(dnnl_stream_wait(engine.stream), "finish")
            let factors = mask.factors.floats(count)
            if let seed = dropoutSeed {
                mask.draw(
                    seed &+ UInt64(index) &* Mask.stride, rate, rank: joint?.rank ?? 0,
                    of: joint?.count ?? 1)
            } else {
                factors.update(repeating: 1)
            }
            let (from, to) = (source.buffer.floats(count), y.buffer.floats(count))
            for element in 0..<count { to[element] = from[element] * factors[element] }
        }
        return y
    }

    /// What dropout multiplies by, as the map lies.
    struct Mask {
        let layout: MapLayout
        let factors: Buffer
        static let stride: UInt64 = 0x9E37_79B9_7F4A_7C15

        /// Draws it. A number's factor depends on its place in the whole batch alone, of which
        /// process `rank` of `count` has every `count`th row: neither on how many there are nor on
        /// the order that a processor likes maps in.
        func draw(_ seed: UInt64, _ rate: Float, rank: Int, of count: Int) {
            let (loop, kept) = (layout.loop, 1 / (1 - rate))
            let target = factors.pointer.assumingMemoryBound(to: Float.self) + layout.offset
            let size = loop.channels * loop.area
            for row in 0..<loop.n {
                var state = seed &+ UInt64((row * count + rank) * size) &* Self.stride
                for channel in 0..<loop.channels {
                    let block = channel / loop.block * loop.block * loop.area
                    let start = row * loop.batch_stride + block + channel % loop.block
                    for place in 0..<loop.area {
                        // SplitMix64 (Steele et al. 2014).
                        state &+= Self.stride
                        var z = state
                        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                        let unit = Float((z ^ (z >> 31)) >> 40) * 0x1p-24
                        target[start + place * loop.pixel] = unit < rate ? 0 : kept
                    }
                }
            }
        }
    }

    func batchNormBackward(_ index: Int, _ node: Node, _ dy: Memory, _ epsilon: Float)
        throws
    {
        guard let state = norms[index] else { throw unsupported(node) }
        let from = node.inputs[0]
        if let scale = state.frozen {
            guard learns[from] else { return }
            return try accumulate(
                from,
                try compiler.channelAffine(
                    dy, shapes[index], scale: scale, shift: nil, as: node.name))
        }
        let (x, layout) = try compiler.regular(state.source, shapes[index])
        guard let factors = state.factors else { throw unsupported(node) }
        let gradient = try compiler.reordered(dy, to: try layout.descriptor())
        let dx = learns[from] ? try compiler.memory(layout) : nil
        let loop = layout.loop
        let sums = try compiler.memory(.plain([graft_affine_sums_count(loop)]))
        compiler.append(
            node.name, "affine", uses: [x, gradient, sums] + (dx.map { [$0] } ?? [])
        ) {
            factors.collect {
                graft_channel_affine_backward(
                    loop, x.floats, gradient.floats, nil, 0, 0, factors.scale, factors.mean,
                    dx?.floats, $0, $1, sums.floats)
            }
        }
        if let dx { try accumulate(from, dx) }
    }

    func dropoutBackward(_ index: Int, _ from: Int, _ dy: Memory) throws {
        guard let mask = masks[index] else { return }
        let descriptor = try mask.layout.descriptor()
        let gradient = try compiler.reordered(dy, to: descriptor)
        let dx = try compiler.memory(mask.layout)
        let count = descriptor.byteCount / 4
        let engine = compiler.engine
        compiler.append(compiler.graph.nodes[index].name, "loop", uses: [gradient, dx]) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            let (g, m, d) = (
                gradient.buffer.floats(count), mask.factors.floats(count),
                dx.buffer.floats(count)
            )
            for element in 0..<count { d[element] = g[element] * m[element] }
        }
        try accumulate(from, dx)
    }
}

/// Scale and shift by channel that a BatchNorm with running statistics amounts to while γ and β
/// learn, and where the gradients of those go.
final class ChannelFactors {
    private(set) var scale: [Float]
    private(set) var shift: [Float]
    let mean: [Float]
    private let inverse: [Float]
    private let gamma: Memory?
    private let beta: Memory?
    private let gradients: (gamma: Memory?, beta: Memory?)

    /// `filled` channels with what fills up the last block.
    init(_ builder: GradientBuilder, _ node: Node, _ epsilon: Float, filled: Int) throws {
        let compiler = builder.compiler
        guard let mean = compiler.parameter(node, .runningMean),
            let variance = compiler.parameter(node, .runningVariance)
        else { throw ExecutionError.unsupported(layer: node.name, reason: "it has no statistics") }
        func vector(_ role: Parameter.Role) throws -> (value: Memory?, gradient: Memory?) {
            guard let parameter = compiler.parameter(node, role) else { return (nil, nil) }
            return (
                try builder.weight(parameter, dims: parameter.shape.dimensions),
                builder.slots[parameter.name]?.gradient
            )
        }
        inverse = try compiler.weight(variance).map {
            Float(1 / (Double($0) + Double(epsilon)).squareRoot())
        }
        let zeros = [Float](repeating: 0, count: filled)
        self.mean = try compiler.weight(mean) + zeros.dropFirst(inverse.count)
        let (gamma, beta) = (try vector(.scale), try vector(.shift))
        (self.gamma, self.beta) = (gamma.value, beta.value)
        gradients = (gamma.gradient, beta.gradient)
        (scale, shift) = (zeros, zeros)
        update()
    }

    /// Reads γ and β as they are now.
    func update() {
        for c in inverse.indices {
            scale[c] = (gamma?.floats[c] ?? 1) * inverse[c]
            shift[c] = (beta?.floats[c] ?? 0) - mean[c] * scale[c]
        }
    }

    /// Has the sums of g (x − μ) and of g computed, and turns them into the gradients.
    func collect(
        _ sums: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) {
        var (products, plain) = (scale, scale)
        products.withUnsafeMutableBufferPointer { products in
            plain.withUnsafeMutableBufferPointer { plain in
                guard let p = products.baseAddress, let s = plain.baseAddress else { return }
                sums(p, s)
            }
        }
        for c in inverse.indices {
            gradients.gamma?.floats[c] = products[c] * inverse[c]
            gradients.beta?.floats[c] = plain[c]
        }
    }
}

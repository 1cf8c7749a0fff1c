// BatchNorm with running statistics, and dropout: forward and backward.

import CDNNL
import GraftNetworks
import GraftTensors

extension GradientBuilder {
    struct BatchNormState {
        var scale: [Float]?  // The frozen layer's constant factors.
        var primitive: Primitive?
        var source: Memory
        var gamma: Memory?
        var beta: Memory?
        var mean: Memory?
        var variance: Memory?
    }

    func batchNorm(_ index: Int, _ node: Node, _ x: Memory, _ epsilon: Float) throws
        -> Memory
    {
        let shape = shapes[index]
        let channels = shape[1]
        guard node.parameters.contains(where: { slots[$0.name] != nil }) else {
            let (scale, shift) = try compiler.affine(node, epsilon: epsilon)
            norms[index] = BatchNormState(scale: scale, source: x)
            return try compiler.channelAffine(x, shape, scale: scale, shift: shift, as: node.name)
        }
        func vector(_ role: Parameter.Role, or fill: Float) throws -> Memory {
            guard let parameter = compiler.parameter(node, role) else {
                return try compiler.constant(
                    [Float](repeating: fill, count: channels), dims: [channels])
            }
            return try weight(parameter, dims: [channels])
        }
        let primitive = try Primitive("plan layer `\(node.name)`") { pd in
            x.descriptor.withPointer {
                graft_batch_norm(
                    &pd, compiler.engine.engine, dnnl_forward_training, $0, $0, epsilon, 0, nil)
            }
        }
        compiler.note(node, primitive)
        let state = BatchNormState(
            primitive: primitive, source: x, gamma: try vector(.scale, or: 1),
            beta: try vector(.shift, or: 0), mean: try vector(.runningMean, or: 0),
            variance: try vector(.runningVariance, or: 1))
        let y = try compiler.memory(x.descriptor)
        if let mean = state.mean, let variance = state.variance, let gamma = state.gamma,
            let beta = state.beta
        {
            compiler.append(
                primitive,
                [
                    (DNNL_ARG_SRC, x), (DNNL_ARG_MEAN, mean), (DNNL_ARG_VARIANCE, variance),
                    (DNNL_ARG_SCALE, gamma), (DNNL_ARG_SHIFT, beta), (DNNL_ARG_DST, y),
                ])
        }
        norms[index] = state
        return y
    }

    func dropout(_ index: Int, _ x: Memory, _ rate: Float) throws -> Memory {
        let y = try compiler.memory(x.descriptor)
        let count = x.descriptor.byteCount / 4
        let mask = Buffer(byteCount: count * 4)
        masks[index] = mask
        let engine = compiler.engine
        compiler.append(compiler.graph.nodes[index].name, "loop") { [unowned self] in
            try check(dnnl_stream_wait(engine.stream), "finish")
            let factors = mask.floats(count)
            if let seed = dropoutSeed {
                var state = seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
                for element in 0..<count {
                    // SplitMix64 (Steele et al. 2014).
                    state &+= 0x9E37_79B9_7F4A_7C15
                    var z = state
                    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                    let unit = Float((z ^ (z >> 31)) >> 40) * 0x1p-24
                    factors[element] = unit < rate ? 0 : 1 / (1 - rate)
                }
            } else {
                factors.update(repeating: 1)
            }
            let (from, to) = (x.buffer.floats(count), y.buffer.floats(count))
            for element in 0..<count { to[element] = from[element] * factors[element] }
        }
        return y
    }

    func batchNormBackward(_ index: Int, _ node: Node, _ dy: Memory, _ epsilon: Float)
        throws
    {
        guard let state = norms[index] else { throw unsupported(node) }
        if let scale = state.scale {
            try accumulate(
                node.inputs[0],
                try compiler.channelAffine(
                    dy, shapes[index], scale: scale, shift: nil, as: node.name))
            return
        }
        guard let forward = state.primitive, let mean = state.mean, let variance = state.variance,
            let gamma = state.gamma, let beta = state.beta
        else { throw unsupported(node) }
        let layout = state.source.descriptor
        let primitive = try Primitive("plan layer `\(node.name)`") { pd in
            layout.withPointer {
                graft_batch_norm(
                    &pd, compiler.engine.engine, dnnl_backward, $0, $0, epsilon, 0,
                    forward.description)
            }
        }
        compiler.note(node, primitive)
        func gradient(_ role: Parameter.Role) throws -> Memory {
            try compiler.parameter(node, role).flatMap { slots[$0.name]?.gradient }
                ?? compiler.constant(
                    [Float](repeating: 0, count: shapes[index][1]), dims: [shapes[index][1]])
        }
        let dx = try compiler.memory(layout)
        compiler.append(
            primitive,
            [
                (DNNL_ARG_SRC, state.source), (DNNL_ARG_MEAN, mean), (DNNL_ARG_VARIANCE, variance),
                (DNNL_ARG_SCALE, gamma), (DNNL_ARG_SHIFT, beta),
                (DNNL_ARG_DIFF_DST, try compiler.reordered(dy, to: layout)),
                (DNNL_ARG_DIFF_SRC, dx), (DNNL_ARG_DIFF_SCALE, try gradient(.scale)),
                (DNNL_ARG_DIFF_SHIFT, try gradient(.shift)),
            ])
        try accumulate(node.inputs[0], dx)
    }

    func dropoutBackward(_ index: Int, _ from: Int, _ dy: Memory) throws {
        guard let mask = masks[index] else { return }
        let layout = try value(from).descriptor
        let gradient = try compiler.reordered(dy, to: layout)
        let dx = try compiler.memory(layout)
        let count = layout.byteCount / 4
        let engine = compiler.engine
        compiler.append(compiler.graph.nodes[index].name, "loop") {
            try check(dnnl_stream_wait(engine.stream), "finish")
            let (g, m, d) = (
                gradient.buffer.floats(count), mask.floats(count), dx.buffer.floats(count)
            )
            for element in 0..<count { d[element] = g[element] * m[element] }
        }
        try accumulate(from, dx)
    }
}

// BatchNorm that stands alone: a scale and a shift by channel, or the statistics of the batch.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.BatchNorm: ExecutableOp {
    enum Saved {
        /// The factors of a layer in which nothing learns.
        case frozen([Float])
        /// γ or β learns, the statistics do not move.
        case factors(ChannelNorm, source: Memory)
        /// The statistics of the batch.
        case batch(LearningNorm)
    }

    var epilogue: Epilogue { .cut }
    var role: FusionRole { .norm }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let (compiler, shape) = (pass.compiler, site.y)
        let x = try pass.value(of: site.inputs[0])
        if let learning = pass.learning, learning.movesStatistics(of: site) {
            let (norm, y) = try learningNorm(at: site, source: x, learning: learning, in: pass)
            return Outcome(y, saved: .batch(norm))
        }
        guard let learning = pass.learning,
            site.parameters.contains(where: { learning.slots[$0.name] != nil })
        else {
            let norm = try ChannelNorm(
                self, named: site.name, parameters: site.parameters, in: compiler)
            var activation: Activation?
            if let index = site.group.activation,
                case .activation(let op) = compiler.graph.nodes[index].op
            {
                activation = op.function
            }
            let y = try compiler.channelAffine(
                x, of: shape, scale: norm.scale, shift: norm.shift, as: site.name,
                activation: activation)
            return Outcome(y, saved: .frozen(norm.scale))
        }
        let (source, layout) = try compiler.regular(x, of: shape)
        let norm = try ChannelNorm(
            self, named: site.name, parameters: site.parameters, in: compiler, learning: learning,
            filled: layout.filled)
        let y = try compiler.memory(layout)
        let loop = layout.loop
        compiler.append(site.name, by: "affine", uses: [source, y]) {
            norm.update()
            graft_channel_affine(
                loop, source.floats, norm.scale, 0, norm.shift, -.infinity, .infinity, loop,
                y.floats)
        }
        return Outcome(y, saved: .factors(norm, source: source))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let (compiler, shape) = (pass.compiler, site.y)
        switch saved {
        case .batch(let norm): return [try backward(from: gradients, norm, at: site, in: pass)]
        case .frozen(let scale):
            guard pass.learns(site.inputs[0]) else { return [nil] }
            return [
                try compiler.channelAffine(
                    try gradients.sum(), of: shape, scale: scale, shift: nil, as: site.name)
            ]
        case .factors(let norm, let source):
            let (x, layout) = try compiler.regular(source, of: shape)
            let gradient = try compiler.reordered(
                try gradients.sum(), to: try layout.descriptor())
            let dx = pass.learns(site.inputs[0]) ? try compiler.memory(layout) : nil
            let loop = layout.loop
            let sums = try compiler.memory(.plain([graft_affine_sums_count(loop)]))
            compiler.append(
                site.name, by: "affine", uses: [x, gradient, sums] + (dx.map { [$0] } ?? [])
            ) {
                var (products, plain) = (norm.scale, norm.scale)
                graft_channel_affine_backward(
                    loop, x.floats, gradient.floats, nil, 0, 0, norm.scale, norm.mean,
                    dx?.floats, &products, &plain, sums.floats)
                norm.collect(products: products, sums: plain)
            }
            return [dx]
        }
    }
}

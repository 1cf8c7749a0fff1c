// γ[c] · x: oneDNN multiplies by a row of channels in its reference code only.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.ChannelScale: ExecutableOp {
    struct Saved {
        let source: Memory
        let gamma: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let gamma = try pass.weight(try site.required(.scale))
        let x = try pass.value(of: site.inputs[0])
        let y = try pass.compiler.scaled(x, of: site.y, by: gamma, as: site.name)
        return Outcome(y, saved: Saved(source: x, gamma: gamma))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let (compiler, shape) = (pass.compiler, site.y)
        let dy = try gradients.sum()
        if let home = pass.gradient(of: site.parameter(.scale)) {
            let (channels, area) = (shape[1], shape.count / (shape[0] * shape[1]))
            let x = try compiler.plain(saved.source, of: shape)
            let g = try compiler.plain(dy, of: shape)
            compiler.loop(site.name, uses: [x, g]) {
                let (x, g) = (x.buffer.floats(shape.count), g.buffer.floats(shape.count))
                var sums = [Double](repeating: 0, count: channels)
                for plane in 0..<(shape[0] * channels) {
                    for at in (plane * area)..<((plane + 1) * area) {
                        sums[plane % channels] += Double(x[at]) * Double(g[at])
                    }
                }
                _ = home.buffer.floats(channels).update(fromContentsOf: sums.map { Float($0) })
            }
        }
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [try compiler.scaled(dy, of: shape, by: saved.gamma, as: site.name)]
    }
}

extension Compiler {
    /// γ[c] · x, with γ as it is when the step runs.
    fileprivate func scaled(
        _ value: Memory, of shape: Shape, by gamma: Memory, as name: String
    ) throws -> Memory {
        var (x, layout) = try regular(value, of: shape)
        if layout.filled != shape[1] {  // γ has no numbers for what fills up a block.
            x = try plain(value, of: shape)
            layout = MapLayout(shape, .planes)
        }
        let to = MapLayout(shape, layout.order)
        let y = try memory(to)
        let (source, from, into) = (x, layout.loop, to.loop)
        loop(name, uses: [source, y]) {
            graft_channel_affine(
                from, source.floats, gamma.floats, 0, nil, -.infinity, .infinity, into, y.floats)
        }
        return y
    }
}

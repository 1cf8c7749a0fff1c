// A map as vectors: the same memory under another shape.

import GraftNetworks
import GraftTensors

extension Op.Flatten: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let compiler = pass.compiler
        let source = try pass.value(of: site.inputs[0])
        guard channelsLast else {
            return Outcome(try compiler.plain(source, of: site.x, as: site.y))
        }
        let last = try compiler.reordered(source, to: .channelsLast(site.x.dimensions))
        return Outcome(
            try Memory(.plain(site.y.dimensions), in: last.buffer, of: compiler.engine))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let plain = try pass.compiler.plain(try gradients.sum(), of: site.y)
        let dims = site.x.dimensions
        return [
            try Memory(
                channelsLast ? .channelsLast(dims) : .plain(dims), in: plain.buffer,
                of: pass.compiler.engine)
        ]
    }
}

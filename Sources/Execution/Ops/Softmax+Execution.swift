// Probabilities over the channels.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.Softmax: ExecutableOp {
    /// The value.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let primitive = try Primitive("plan layer `\(site.name)`", on: compiler.engine) { pd in
            x.descriptor.withPointer {
                graft_softmax(&pd, compiler.engine.engine, $0, 1, compiler.engine.attributes)
            }
        }
        primitive.node = site.name
        let y = try compiler.memory(x.descriptor)
        compiler.append(primitive, with: [(DNNL_ARG_SRC, x), (DNNL_ARG_DST, y)])
        return Outcome(y, saved: y)
    }

    /// dx = y (g − Σ g y).
    func backward(
        from gradients: OutputGradients, saved: Memory, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let positions = ChannelPositions(site.x)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try gradients.sum(), site.y), (saved, site.y)], writing: site.x
        ) { sources, target in
            let (g, y) = (sources[0], sources[1])
            positions.forEach { channels in
                var sum = 0.0
                for at in channels { sum += Double(g[at]) * Double(y[at]) }
                for at in channels { target[at] = y[at] * Float(Double(g[at]) - sum) }
            }
        }
        return [dx]
    }
}

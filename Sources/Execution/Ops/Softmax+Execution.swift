// Probabilities over an axis, and their logarithms.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Op.Softmax: ExecutableOp {
    /// The value.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        guard !isLogarithmic else {
            let (outer, count, inner) = site.x.split(at: axis)
            let threads = compiler.threads
            let y = try compiler.rowMajorLoop(
                site.name, reading: [(x, site.x)], writing: site.y
            ) { x, y in
                graft_softmax_axis(
                    1, outer, count, inner, x[0].baseAddress, y.baseAddress, threads)
            }
            return Outcome(y, saved: y)
        }
        let primitive = try Primitive("plan layer `\(site.name)`", on: compiler.engine) { pd in
            x.descriptor.withPointer {
                graft_softmax(
                    &pd, compiler.engine.engine, $0, Int32(axis), compiler.engine.attributes)
            }
        }
        primitive.node = site.name
        let y = try compiler.memory(x.descriptor)
        compiler.append(primitive, with: [(DNNL_ARG_SRC, x), (DNNL_ARG_DST, y)])
        return Outcome(y, saved: y)
    }

    /// dx = y (g − Σ g y); of logarithms, dx = g − eʸ Σ g.
    func backward(
        from gradients: OutputGradients, saved: Memory, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let (outer, count, inner) = site.x.split(at: axis)
        let (kind, threads) = (Int32(isLogarithmic ? 1 : 0), pass.compiler.threads)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(saved, site.y), (try gradients.sum(), site.y)], writing: site.x
        ) { sources, dx in
            graft_softmax_axis_backward(
                kind, outer, count, inner, sources[0].baseAddress, sources[1].baseAddress,
                dx.baseAddress, threads)
        }
        return [dx]
    }
}

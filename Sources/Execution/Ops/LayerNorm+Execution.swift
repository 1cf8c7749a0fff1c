// Layer normalisation, on oneDNN with the axes that are normalised innermost.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.LayerNorm: ExecutableOp {
    struct Saved {
        let source: Memory
        let gamma: Memory
        let beta: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let gamma = try pass.weight(try site.required(.scale))
        let beta = try pass.weight(try site.required(.shift))
        let source = try pass.value(of: site.inputs[0])
        let saved = Saved(source: source, gamma: gamma, beta: beta)
        let x = site.x
        if axes == [1], x.rank == 4 {
            // Channels-last is already what oneDNN wants.
            let layout = try Descriptor.channelsLast(x.dimensions)
            let value = try compiler.reordered(source, to: layout)
            return Outcome(
                try normalized(value, of: x, as: layout, saved, at: site, in: compiler),
                saved: saved)
        }
        let order = innermost(x)
        let moved = x.permuted(order)
        let value = try compiler.transposed(source, of: x, by: order, as: site.name)
        let y = try normalized(
            value, of: x, as: .plain(moved.dimensions), saved, at: site, in: compiler)
        return Outcome(
            try compiler.transposed(y, of: moved, by: inverse(order), as: site.name), saved: saved)
    }

    /// The axes with those last that are normalised.
    private func innermost(_ x: Shape) -> [Int] {
        x.dimensions.indices.filter { !axes.contains($0) } + axes
    }

    private func inverse(_ order: [Int]) -> [Int] {
        order.indices.map { axis in order.firstIndex(of: axis) ?? axis }
    }

    /// The rows of a value that lies with what is normalised innermost.
    private func normalized(
        _ value: Memory, of x: Shape, as layout: Descriptor, _ weights: Saved, at site: NodeSite,
        in compiler: Compiler
    ) throws -> Memory {
        let size = axes.reduce(1) { $0 * x[$1] }
        let y = try compiler.memory(layout)
        let view = try Descriptor.plain([x.count / max(size, 1), size])
        let statistics = try Descriptor.plain([x.count / max(size, 1)])
        let engine = compiler.engine
        let primitive = try Primitive("plan layer `\(site.name)`", on: engine) { pd in
            view.withPointer { view in
                statistics.withPointer {
                    graft_layer_norm(&pd, engine.engine, view, $0, epsilon, engine.attributes)
                }
            }
        }
        primitive.node = site.name
        let flat = try Descriptor.plain([size])
        compiler.append(
            primitive,
            with: [
                (DNNL_ARG_SRC, try Memory(view, in: value.buffer, of: engine)),
                (DNNL_ARG_DST, try Memory(view, in: y.buffer, of: engine)),
                (DNNL_ARG_SCALE, try Memory(flat, in: weights.gamma.buffer, of: engine)),
                (DNNL_ARG_SHIFT, try Memory(flat, in: weights.beta.buffer, of: engine)),
            ])
        return y
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let order = innermost(site.x)
        let moved = site.x.permuted(order)
        let size = axes.reduce(1) { $0 * site.x[$1] }
        let norm = RowNorm(
            rows: site.x.count / max(size, 1), size: size, epsilon: epsilon, scale: saved.gamma,
            shift: saved.beta)
        let x = try compiler.transposed(saved.source, of: site.x, by: order, as: site.name)
        let dy = try compiler.transposed(
            try gradients.sum(), of: site.y, by: order, as: site.name)
        let dx = try compiler.normalizedBackward(
            dy, of: moved, from: x, by: norm, scale: pass.gradient(of: site.parameter(.scale)),
            shift: pass.gradient(of: site.parameter(.shift)), as: site.name)
        return [try compiler.transposed(dx, of: moved, by: inverse(order), as: site.name)]
    }
}

// Maxima and means of windows by oneDNN, in both directions: what the operations that pool share.

import CDNNL
import GraftNetworks
import GraftTensors

/// A pooling at one place of a network.
struct Pool {
    /// The values that its backward needs.
    struct Saved {
        let primitive: Primitive
        let workspace: Memory?
        let geometry: graft_window
        /// The value as the primitive wrote it, before dimensions of 1 were dropped.
        let raw: Memory
        let input: Memory
    }

    let name: String
    let window: Window
    let algorithm: dnnl_alg_kind_t
    let input: Shape
    /// (N, C, H, W), or (N, C) for the whole map.
    let output: Shape
    /// −∞ around the map that it reads, beside the window's own.
    var padding = Padding.zero

    /// Appends the step; `isLearning` keeps what backward needs.
    func forward(
        _ source: Memory, isLearning: Bool, in compiler: Compiler
    ) throws -> (value: Memory, saved: Saved) {
        let map: Shape = output.rank == 2 ? [output[0], output[1], 1, 1] : output
        var geometry = compiler.window(window, input: input, output: map, extra: padding)
        let kind = isLearning ? dnnl_forward_training : dnnl_forward_inference
        let dst = try Descriptor.any(map.dimensions, type: source.descriptor.type)
        let primitive = try Primitive("plan layer `\(name)`", on: compiler.engine) { pd in
            source.descriptor.withPointer { src in
                dst.withPointer {
                    graft_pool(
                        &pd, compiler.engine.engine, kind, algorithm, src, $0, &geometry,
                        compiler.engine.attributes, nil)
                }
            }
        }
        primitive.node = name
        let raw = try compiler.memory(try primitive.descriptor(dnnl_query_dst_md))
        raw.quantum = source.quantum
        var arguments = [(DNNL_ARG_SRC, source), (DNNL_ARG_DST, raw)]
        var workspace: Memory?
        if isLearning, algorithm == dnnl_pooling_max {
            let space = try compiler.memory(try primitive.descriptor(dnnl_query_workspace_md))
            arguments.append((DNNL_ARG_WORKSPACE, space))
            workspace = space
        }
        compiler.append(primitive, with: arguments)
        let value = output.rank == 2 ? try compiler.plain(raw, of: map, as: output) : raw
        return (
            value,
            Saved(
                primitive: primitive, workspace: workspace, geometry: geometry, raw: raw,
                input: source)
        )
    }

    /// Appends the step that gives each input its share of the gradient.
    func backward(_ dy: Memory, saved: Saved, in compiler: Compiler) throws -> Memory {
        var gradient = dy
        if output.rank == 2 {
            gradient = try compiler.plain(dy, of: output, as: [output[0], output[1], 1, 1])
        }
        gradient = try compiler.reordered(gradient, to: saved.raw.descriptor)
        var geometry = saved.geometry
        let primitive = try Primitive("plan layer `\(name)`", on: compiler.engine) { pd in
            saved.input.descriptor.withPointer { src in
                saved.raw.descriptor.withPointer {
                    graft_pool(
                        &pd, compiler.engine.engine, dnnl_backward_data, algorithm, src, $0,
                        &geometry, compiler.engine.attributes, saved.primitive.description)
                }
            }
        }
        primitive.node = name
        let dx = try compiler.memory(saved.input.descriptor)
        var arguments = [(DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_DIFF_SRC, dx)]
        if let workspace = saved.workspace { arguments.append((DNNL_ARG_WORKSPACE, workspace)) }
        compiler.append(primitive, with: arguments)
        return dx
    }
}

/// An operation that is one pooling of a map as it lies.
protocol PoolingOp: ExecutableOp where Saved == Pool.Saved {
    func pool(at site: NodeSite) throws -> Pool
}

extension PoolingOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Pool.Saved> {
        let (value, saved) = try pool(at: site).forward(
            try pass.value(of: site.inputs[0]), isLearning: pass.learning != nil,
            in: pass.compiler)
        return Outcome(value, saved: saved)
    }

    func backward(
        from gradients: OutputGradients, saved: Pool.Saved, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [
            try pool(at: site).backward(
                try gradients.sum(), saved: saved, in: pass.compiler)
        ]
    }
}

// Normalisation of groups of channels, and by neighbouring channels.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.GroupNorm: ExecutableOp {
    struct Saved {
        let source: Memory
        let norm: RowNorm
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let x = site.x
        let norm = RowNorm(
            rows: x[0] * groups, size: x.count / max(x[0] * groups, 1), groups: groups,
            inner: x.dimensions.dropFirst(2).reduce(1, *), epsilon: epsilon,
            scale: try pass.weight(try site.required(.scale)),
            shift: try pass.weight(try site.required(.shift)))
        let source = try pass.compiler.plain(try pass.value(of: site.inputs[0]), of: x)
        return Outcome(
            try pass.compiler.normalized(source, of: x, by: norm, as: site.name),
            saved: Saved(source: source, norm: norm))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        [
            try pass.compiler.normalizedBackward(
                try gradients.sum(), of: site.x, from: saved.source, by: saved.norm,
                scale: pass.gradient(of: site.parameter(.scale)),
                shift: pass.gradient(of: site.parameter(.shift)), as: site.name)
        ]
    }
}

extension Op.LocalResponseNorm: ExecutableOp {
    private func kernel(_ x: Shape) -> graft_neighbours {
        graft_neighbours(
            outer: x[0], channels: x[1], inner: x.dimensions.dropFirst(2).reduce(1, *), size: size,
            alpha: alpha, beta: beta, bias: bias)
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let (kernel, threads) = (kernel(site.x), pass.compiler.threads)
        let source = try pass.compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let value = try pass.compiler.rowMajorLoop(
            site.name, reading: [(source, site.x)], writing: site.y
        ) { x, y in
            var kernel = kernel
            graft_neighbour_norm(&kernel, x[0].baseAddress, y.baseAddress, threads)
        }
        return Outcome(value, saved: source)
    }

    func backward(
        from gradients: OutputGradients, saved source: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        let (kernel, threads) = (kernel(site.x), pass.compiler.threads)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(source, site.x), (try gradients.sum(), site.y)], writing: site.x
        ) { sources, dx in
            var kernel = kernel
            graft_neighbour_norm_backward(
                &kernel, sources[0].baseAddress, sources[1].baseAddress, dx.baseAddress, threads)
        }
        return [dx]
    }
}

/// Rows that are normalised each by itself; see `graft_norm_rows`.
struct RowNorm {
    var rows: Int
    var size: Int
    var groups = 1
    var inner = 1
    var epsilon: Float
    /// γ and β, row-major; read when the step runs, since they may learn.
    var scale: Memory
    var shift: Memory

    var kernel: graft_row_norm {
        graft_row_norm(
            rows: rows, size: size, groups: groups, inner: inner, epsilon: epsilon,
            scale: UnsafePointer(scale.floats), shift: UnsafePointer(shift.floats))
    }
}

extension Compiler {
    /// The rows of a row-major value, normalised.
    func normalized(_ x: Memory, of shape: Shape, by norm: RowNorm, as name: String) throws
        -> Memory
    {
        let threads = threads
        return try rowMajorLoop(name, reading: [(x, shape)], writing: shape) { x, y in
            var kernel = norm.kernel
            graft_norm_rows(&kernel, x[0].baseAddress, y.baseAddress, threads)
        }
    }

    /// The gradient of ``normalized(_:of:by:as:)``; those of γ and β go where they are wanted.
    func normalizedBackward(
        _ dy: Memory, of shape: Shape, from x: Memory, by norm: RowNorm, scale: Memory?,
        shift: Memory?, as name: String
    ) throws -> Memory {
        let threads = threads
        return try rowMajorLoop(name, reading: [(x, shape), (dy, shape)], writing: shape) {
            sources, dx in
            let channels = norm.groups * norm.size / max(norm.inner, 1)
            for gradient in [scale, shift] {
                gradient?.floats.update(repeating: 0, count: channels)
            }
            var kernel = norm.kernel
            graft_norm_rows_backward(
                &kernel, sources[0].baseAddress, sources[1].baseAddress, dx.baseAddress,
                scale?.floats, shift?.floats, threads)
        }
    }
}

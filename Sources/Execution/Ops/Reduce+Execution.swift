// Sums, means and extremes over axes.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.Reduce: ExecutableOp {
    struct Saved {
        /// What was read, and the result with its axes kept.
        let source: Memory
        let value: Memory
    }

    /// The axes that are reduced, and the shape with one element for each.
    private func kept(_ x: Shape) -> Shape {
        var shape = x
        for axis in axes { shape[axis] = 1 }
        return shape
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let source = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let value = try compiler.reduced(
            source, of: site.x, along: axes, by: function, as: site.name)
        return Outcome(
            try compiler.plain(value, of: kept(site.x), as: site.y),
            saved: Saved(source: source, value: value))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let (x, kept) = (site.x, kept(site.x))
        let dy = try compiler.plain(try gradients.sum(), of: site.y, as: kept)
        switch function {
        case .sum: return [try compiler.repeated(dy, of: kept, to: x, as: site.name)]
        case .mean:
            let all = try compiler.repeated(dy, of: kept, to: x, as: site.name)
            let share = Float(kept.count) / Float(x.count)
            return [
                try compiler.rowMajorLoop(site.name, reading: [(all, x)], writing: x) { d, dx in
                    for index in dx.indices { dx[index] = d[0][index] * share }
                }
            ]
        case .maximum, .minimum:
            // The axes next to each other, last.
            let order = x.dimensions.indices.filter { !axes.contains($0) } + axes.sorted()
            let moved = x.permuted(order)
            let count = axes.reduce(1) { $0 * x[$1] }
            let source = try compiler.transposed(saved.source, of: x, by: order, as: site.name)
            let threads = compiler.threads
            let dx = try compiler.rowMajorLoop(
                site.name, reading: [(source, moved), (saved.value, kept), (dy, kept)],
                writing: moved
            ) { sources, dx in
                graft_reduce_extreme_backward(
                    dx.count / max(count, 1), count, 1, sources[0].baseAddress,
                    sources[1].baseAddress, sources[2].baseAddress, dx.baseAddress, threads)
            }
            let back = order.indices.map { axis in order.firstIndex(of: axis) ?? axis }
            return [try compiler.transposed(dx, of: moved, by: back, as: site.name)]
        case .product:
            throw ExecutionError.noGradient(layer: site.name, kind: kind)
        }
    }
}

extension Compiler {
    /// One number for all that lie along `axes`, which stay with one element each.
    func reduced(
        _ x: Memory, of shape: Shape, along axes: [Int], by function: Op.Reduce.Function,
        as name: String
    ) throws -> Memory {
        let kernel =
            switch function {
            case .sum: GRAFT_SUM
            case .mean: GRAFT_MEAN
            case .maximum: GRAFT_MAXIMUM
            case .minimum: GRAFT_MINIMUM
            case .product: GRAFT_PRODUCT
            }
        var kept = shape
        for axis in axes { kept[axis] = 1 }
        guard let first = axes.min(), let last = axes.max() else { return try plain(x, of: shape) }
        // Axes side by side are one.
        guard last - first + 1 == axes.count else {
            let order = shape.dimensions.indices.filter { !axes.contains($0) } + axes.sorted()
            let moved = try transposed(x, of: shape, by: order, as: name)
            let rest = order.dropLast(axes.count).map { shape[$0] }
            let count = axes.reduce(1) { $0 * shape[$1] }
            let joined = Shape(rest + [count])
            let value = try reduced(
                try plain(moved, of: shape.permuted(order), as: joined), of: joined,
                along: rest.count, by: kernel, as: name)
            return try plain(value, of: Shape(rest + [1]), as: kept)
        }
        let joined = Shape(
            [
                shape.dimensions[..<first].reduce(1, *),
                shape.dimensions[first...last].reduce(1, *),
                shape.dimensions[(last + 1)...].reduce(1, *),
            ])
        let value = try reduced(
            try plain(x, of: shape, as: joined), of: joined, along: 1, by: kernel, as: name)
        return try plain(value, of: [joined[0], 1, joined[2]], as: kept)
    }
}

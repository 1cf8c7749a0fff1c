// Slices of a value at indices that another value has in this run.

import GraftNetworks
import GraftTensors

extension Op.Gather: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let table = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let indices = try compiler.plain(
            try pass.value(of: site.inputs[1]), of: site.inputTypes[1].shape)
        let y = try compiler.memory(.plain(site.y.dimensions))
        let rows = rows(at: site)
        compiler.loop(site.name, uses: [table, indices, y]) {
            try rows.forEach(indices.floats) { from, to in
                (y.floats + to).update(from: table.floats + from, count: rows.inner)
            }
        }
        return Outcome(y, saved: indices)
    }

    /// Adds each slice's gradient to the element that it is of; indices have none.
    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil, nil] }
        let compiler = pass.compiler
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let rows = rows(at: site)
        let count = site.x.count
        compiler.loop(site.name, uses: [dy, indices, dx]) {
            dx.buffer.floats(count).update(repeating: 0)
            try rows.forEach(indices.floats) { to, from in
                for element in 0..<rows.inner {
                    dx.floats[to + element] += dy.floats[from + element]
                }
            }
        }
        return [dx, nil]
    }

    private func rows(at site: NodeSite) -> Rows {
        let (outer, count, inner) = site.x.split(at: axis)
        return Rows(
            layer: site.name, outer: outer, count: count, inner: inner,
            indices: site.inputTypes[1].shape.count)
    }

    /// The slices: of (outer, count, inner) to (outer, indices, inner).
    private struct Rows {
        let layer: String
        let outer: Int
        let count: Int
        let inner: Int
        let indices: Int

        /// The beginning of each slice in the table, and in the result.
        func forEach(
            _ numbers: UnsafePointer<Float>, _ body: (_ table: Int, _ result: Int) -> Void
        ) throws(ExecutionError) {
            for place in 0..<indices {
                guard let index = Int(exactly: numbers[place]), -count..<count ~= index else {
                    throw .index(layer: layer, index: numbers[place], count: count)
                }
                let element = index < 0 ? index + count : index
                for row in 0..<outer {
                    body((row * count + element) * inner, (row * indices + place) * inner)
                }
            }
        }
    }
}

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
        let y = try compiler.gathered(
            rows(at: site), of: table, at: indices, into: site.y, as: site.name)
        return Outcome(y, saved: indices)
    }

    /// Adds each slice's gradient to the element that it is of; indices have none.
    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil, nil] }
        let dy = try pass.compiler.plain(try gradients.sum(), of: site.y)
        let dx = try pass.compiler.spread(
            dy, of: rows(at: site), at: indices, into: site.x, as: site.name)
        return [dx, nil]
    }

    private func rows(at site: NodeSite) -> Rows {
        let (outer, count, inner) = site.x.split(at: axis)
        return Rows(
            layer: site.name, outer: outer, count: count, size: inner,
            indices: site.inputTypes[1].shape.count)
    }

    /// The slices: of (outer, count, size) to (outer, indices, size).
    private struct Rows: IndexedPlaces {
        let layer: String
        let outer: Int
        let count: Int
        let size: Int
        let indices: Int

        /// The beginning of each slice in the table, and in the result.
        func forEach(
            _ numbers: UnsafePointer<Float>, _ body: (_ element: Int, _ part: Int) -> Void
        ) throws(ExecutionError) {
            for place in 0..<indices {
                guard let index = Int(exactly: numbers[place]), -count..<count ~= index else {
                    throw .index(layer: layer, index: numbers[place], count: count)
                }
                let element = index < 0 ? index + count : index
                for row in 0..<outer {
                    body((row * count + element) * size, (row * indices + place) * size)
                }
            }
        }
    }
}

// The largest and smallest numbers along an axis, and where they are.

import GraftNetworks
import GraftTensors

extension Op.TopK: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let values = try compiler.memory(.plain(site.y.dimensions))
        let indices = try compiler.memory(.plain(site.y.dimensions))
        let lines = AxisLines(site.x, axis: axis)
        let (count, largest) = (count, largest)
        compiler.loop(site.name, uses: [x, values, indices]) {
            lines.forEach { line, outer, inner in
                let order = line.indices.sorted { a, b in
                    let (left, right) = (x.floats[line[a]], x.floats[line[b]])
                    if left == right { return a < b }
                    return largest ? left > right : left < right
                }
                for (rank, place) in order.prefix(count).enumerated() {
                    let at = (outer * count + rank) * lines.inner + inner
                    values.floats[at] = x.floats[line[place]]
                    indices.floats[at] = Float(place)
                }
            }
        }
        return Outcome([values, indices], saved: indices)
    }

    /// The gradient of each number goes where it came from; indices have none.
    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]), let gradient = try gradients.sum(output: 0) else {
            return [nil]
        }
        let compiler = pass.compiler
        let dy = try compiler.plain(gradient, of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let lines = AxisLines(site.x, axis: axis)
        let count = count
        compiler.loop(site.name, uses: [dy, indices, dx]) {
            lines.forEach { line, outer, inner in
                for at in line { dx.floats[at] = 0 }
                for rank in 0..<count {
                    let at = (outer * count + rank) * lines.inner + inner
                    dx.floats[line[Int(indices.floats[at])]] = dy.floats[at]
                }
            }
        }
        return [dx]
    }
}

extension Op.ArgExtreme: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let lines = AxisLines(site.x, axis: axis)
        let largest = largest
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try pass.value(of: site.inputs[0]), site.x)], writing: site.y
        ) { sources, y in
            lines.forEach { line, outer, inner in
                var best = 0
                for (place, at) in line.enumerated() {
                    let (found, known) = (sources[0][at], sources[0][line[best]])
                    if largest ? found > known : found < known { best = place }
                }
                y[outer * lines.inner + inner] = Float(best)
            }
        }
        return Outcome(y)
    }

    /// An index has no slope.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] { [nil] }
}

/// The lines of a row-major value along an axis.
private struct AxisLines {
    let outer: Int
    let count: Int
    let inner: Int

    init(_ shape: Shape, axis: Int) { (outer, count, inner) = shape.split(at: axis) }

    /// The places of the numbers of each line, and which line it is.
    func forEach(_ body: (_ line: [Int], _ outer: Int, _ inner: Int) -> Void) {
        for row in 0..<outer {
            for column in 0..<inner {
                body((0..<count).map { (row * count + $0) * inner + column }, row, column)
            }
        }
    }
}

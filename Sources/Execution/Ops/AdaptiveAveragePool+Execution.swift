// The mean of each cell of a grid: one pooling where the cells divide the map, else a loop.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.AdaptiveAveragePool: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Pool.Saved?> {
        let source = try pass.value(of: site.inputs[0])
        if let pool = pool(at: site) {
            let (value, saved) = try pool.forward(
                source, isLearning: pass.learning != nil, in: pass.compiler)
            return Outcome(value, saved: saved)
        }
        let (x, y) = (site.x, site.y)
        let rows = Self.cells(of: x[2], into: height)
        let columns = Self.cells(of: x[3], into: width)
        let value = try pass.compiler.rowMajorLoop(
            site.name, reading: [(source, x)], writing: y
        ) { sources, target in
            var at = 0
            for plane in 0..<(y[0] * y[1]) {
                for row in rows {
                    for column in columns {
                        var sum: Float = 0
                        for r in row {
                            for c in column { sum += sources[0][(plane * x[2] + r) * x[3] + c] }
                        }
                        target[at] = sum / Float(row.count * column.count)
                        at += 1
                    }
                }
            }
        }
        return Outcome(value, saved: nil)
    }

    /// Each cell gives every element its share; cells may overlap.
    func backward(
        from gradients: OutputGradients, saved: Pool.Saved?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let dy = try gradients.sum()
        if let saved, let pool = pool(at: site) {
            return [try pool.backward(dy, saved: saved, in: pass.compiler)]
        }
        let (x, y) = (site.x, site.y)
        let rows = Self.cells(of: x[2], into: height)
        let columns = Self.cells(of: x[3], into: width)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(dy, y)], writing: x
        ) { sources, target in
            target.update(repeating: 0)
            var at = 0
            for plane in 0..<(x[0] * x[1]) {
                for row in rows {
                    for column in columns {
                        let share = sources[0][at] / Float(row.count * column.count)
                        at += 1
                        for r in row {
                            for c in column { target[(plane * x[2] + r) * x[3] + c] += share }
                        }
                    }
                }
            }
        }
        return [dx]
    }

    /// Nil where the cells differ in size.
    private func pool(at site: NodeSite) -> Pool? {
        guard site.x[2] % height == 0, site.x[3] % width == 0 else { return nil }
        let cell = Extent(site.x[2] / height, site.x[3] / width)
        return Pool(
            name: site.name, window: Window(kernel: cell, stride: cell),
            algorithm: dnnl_pooling_avg_exclude_padding, input: site.x, output: site.y)
    }

    /// PyTorch's cells along an axis: cell i covers ⌊i·in/out⌋ ..< ⌈(i+1)·in/out⌉.
    private static func cells(of input: Int, into output: Int) -> [Range<Int>] {
        (0..<output).map { ($0 * input / output)..<((($0 + 1) * input + output - 1) / output) }
    }
}

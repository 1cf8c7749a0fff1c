// Sums and products of all elements up to each one along an axis.

import GraftNetworks
import GraftTensors

extension Op.Cumulate: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(
            try accumulated(
                try pass.value(of: site.inputs[0]), isReversed: isReversed, at: site,
                in: pass.compiler))
    }

    /// Of sums, the sums from the other end.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        guard function == .sum else {
            throw ExecutionError.noGradient(layer: site.name, kind: kind)
        }
        return [
            try accumulated(
                try gradients.sum(), isReversed: !isReversed, at: site, in: pass.compiler)
        ]
    }

    private func accumulated(
        _ x: Memory, isReversed: Bool, at site: NodeSite, in compiler: Compiler
    ) throws -> Memory {
        let (outer, count, inner) = site.x.split(at: axis)
        let (isExclusive, isSum) = (isExclusive, function == .sum)
        return try compiler.rowMajorLoop(
            site.name, reading: [(x, site.x)], writing: site.x
        ) { sources, y in
            for row in 0..<outer {
                for column in 0..<inner {
                    var total: Double = isSum ? 0 : 1
                    for step in 0..<count {
                        let place = isReversed ? count - 1 - step : step
                        let at = (row * count + place) * inner + column
                        let before = total
                        let own = Double(sources[0][at])
                        total = isSum ? total + own : total * own
                        y[at] = Float(isExclusive ? before : total)
                    }
                }
            }
        }
    }
}

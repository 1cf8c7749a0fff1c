// Maps enlarged by whole factors: loops over row-major numbers.

import GraftNetworks
import GraftTensors

extension Op.Upsample: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let (x, y) = (site.x, site.y)
        let value = try pass.value(of: site.inputs[0])
        let (rows, columns) = taps(of: x)
        let result = try pass.compiler.rowMajorLoop(
            site.name, reading: [(value, x)], writing: y
        ) { sources, target in
            var at = 0
            for plane in 0..<(y[0] * y[1]) {
                let from = plane * x[2] * x[3]
                for row in rows {
                    let (above, below) = (from + row.first * x[3], from + row.second * x[3])
                    for column in columns {
                        func mixed(_ base: Int) -> Float {
                            let first = sources[0][base + column.first]
                            guard column.share > 0 else { return first }
                            return first
                                + (sources[0][base + column.second] - first) * column.share
                        }
                        let upper = mixed(above)
                        target[at] =
                            row.share > 0 ? upper + (mixed(below) - upper) * row.share : upper
                        at += 1
                    }
                }
            }
        }
        return Outcome(result)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let (x, y) = (site.x, site.y)
        let (rows, columns) = taps(of: x)
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try gradients.sum(), y)], writing: x
        ) { sources, target in
            target.update(repeating: 0)
            var at = 0
            for plane in 0..<(y[0] * y[1]) {
                let to = plane * x[2] * x[3]
                for row in rows {
                    let (above, below) = (to + row.first * x[3], to + row.second * x[3])
                    for column in columns {
                        let slope = sources[0][at]
                        at += 1
                        let (upper, lower) = (slope * (1 - row.share), slope * row.share)
                        target[above + column.first] += upper * (1 - column.share)
                        target[above + column.second] += upper * column.share
                        target[below + column.first] += lower * (1 - column.share)
                        target[below + column.second] += lower * column.share
                    }
                }
            }
        }
        return [dx]
    }

    /// The two inputs around an output along an axis, and the weight of the second.
    private struct Tap {
        let first: Int
        let second: Int
        let share: Float
    }

    private func taps(of map: Shape) -> (rows: [Tap], columns: [Tap]) {
        (taps(map[2], by: height), taps(map[3], by: width))
    }

    /// Half-pixel centres if bilinear, else the input that an output is a copy of.
    private func taps(_ size: Int, by factor: Int) -> [Tap] {
        (0..<(size * factor)).map { index in
            guard bilinear else {
                return Tap(first: index / factor, second: index / factor, share: 0)
            }
            let place = max((Float(index) + 0.5) / Float(factor) - 0.5, 0)
            let first = min(Int(place), size - 1)
            return Tap(
                first: first, second: min(first + 1, size - 1), share: place - Float(first))
        }
    }
}

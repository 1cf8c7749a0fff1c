// Vectors of length 1.

import GraftNetworks
import GraftTensors

extension Op.UnitNorm: ExecutableOp {
    struct Saved {
        let source: Memory
        let value: Memory
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let x = try pass.value(of: site.inputs[0])
        let positions = ChannelPositions(site.x)
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: [(x, site.x)], writing: site.y
        ) { sources, target in
            positions.forEach { channels in
                let scale = 1 / Self.length(sources[0], at: channels)
                for at in channels { target[at] = Float(Double(sources[0][at]) * scale) }
            }
        }
        return Outcome(y, saved: Saved(source: x, value: y))
    }

    /// dx = (g − y (y · g)) / ‖x‖: what points along the vector changes nothing.
    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let positions = ChannelPositions(site.x)
        let dx = try pass.compiler.rowMajorLoop(
            site.name,
            reading: [
                (try gradients.sum(), site.y), (saved.source, site.x), (saved.value, site.y),
            ], writing: site.x
        ) { sources, target in
            let (g, x, y) = (sources[0], sources[1], sources[2])
            positions.forEach { channels in
                let length = Self.length(x, at: channels)
                var along = 0.0
                for at in channels { along += Double(g[at]) * Double(y[at]) }
                for at in channels {
                    target[at] = Float((Double(g[at]) - Double(y[at]) * along) / length)
                }
            }
        }
        return [dx]
    }

    /// The length that a vector is divided by: PyTorch's, never below 1e-12.
    private static func length(_ x: Floats, at places: StrideTo<Int>) -> Double {
        var squares = 0.0
        for at in places { squares += Double(x[at]) * Double(x[at]) }
        return max(squares.squareRoot(), 1e-12)
    }
}

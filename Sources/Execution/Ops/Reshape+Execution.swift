// Vectors as a map.

import GraftNetworks
import GraftTensors

extension Op.Reshape: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let shape = site.y
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try pass.value(of: site.inputs[0]), site.x)], writing: shape
        ) { sources, target in
            guard channelsLast else {
                _ = target.update(fromContentsOf: sources[0])
                return
            }
            forEachNumber(of: shape) { planes, last in target[planes] = sources[0][last] }
        }
        return Outcome(y)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let shape = site.y
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try gradients.sum(), shape)], writing: site.x
        ) { sources, target in
            guard channelsLast else {
                _ = target.update(fromContentsOf: sources[0])
                return
            }
            forEachNumber(of: shape) { planes, last in target[last] = sources[0][planes] }
        }
        return [dx]
    }

    /// The place of every number with the channels first, and with the channels last.
    private func forEachNumber(of map: Shape, _ body: (_ planes: Int, _ last: Int) -> Void) {
        let area = map[2] * map[3]
        for sample in 0..<map[0] {
            for channel in 0..<map[1] {
                for element in 0..<area {
                    body(
                        (sample * map[1] + channel) * area + element,
                        (sample * area + element) * map[1] + channel)
                }
            }
        }
    }
}

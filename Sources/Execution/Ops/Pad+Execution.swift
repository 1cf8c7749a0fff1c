// Constants around a map: done by the reader where that pads itself, else a loop.

import GraftNetworks
import GraftTensors

extension Op.Pad: ExecutableOp {
    var zeroPadding: Padding? {
        let amounts = [padding.top, padding.left, padding.bottom, padding.right]
        return value == 0 && amounts.allSatisfy { $0 >= 0 } ? padding : nil
    }
    var quantization: QuantizationRole { .padding }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        guard !site.group.isHandedOn else { return Outcome(pass.stored(site.inputs[0])) }
        return Outcome(
            try pad(
                try pass.value(of: site.inputs[0]), of: site.x, as: site.name, in: pass.compiler))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [
            try reversed.pad(
                try gradients.sum(), of: site.y, as: site.name, in: pass.compiler)
        ]
    }

    /// The padding that cuts off what this adds.
    var reversed: Op.Pad {
        Op.Pad(
            padding: Padding(
                top: -padding.top, left: -padding.left, bottom: -padding.bottom,
                right: -padding.right), value: 0)
    }

    /// The shape of a map with the padding.
    func padded(_ map: Shape) -> Shape {
        [
            map[0], map[1], map[2] + padding.top + padding.bottom,
            map[3] + padding.left + padding.right,
        ]
    }

    /// Appends the loop.
    func pad(
        _ source: Memory, of x: Shape, as name: String, in compiler: Compiler
    ) throws -> Memory {
        let y = padded(x)
        let (padding, value) = (padding, value)
        return try compiler.rowMajorLoop(name, reading: [(source, x)], writing: y) {
            sources, target in
            target.update(repeating: value)
            for plane in 0..<(y[0] * y[1]) {
                for row in max(0, padding.top)..<min(y[2], padding.top + x[2]) {
                    for column in max(0, padding.left)..<min(y[3], padding.left + x[3]) {
                        target[(plane * y[2] + row) * y[3] + column] =
                            sources[0][
                                (plane * x[2] + row - padding.top) * x[3] + column
                                    - padding.left]
                    }
                }
            }
        }
    }
}
